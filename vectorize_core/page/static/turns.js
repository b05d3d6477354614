// Who may hold a connection open: a browser has six for a host, and all of its tabs share them.
import { useEffect, useState } from "./lib.js";

const MOST = 3;

/** Whether this tab may hold one: it can be seen, and is one of the three that were last gone to. */
export function useTurn() {
  const [turn, setTurn] = useState(!document.hidden);
  useEffect(() => {
    const own = Math.random();
    const channel = new BroadcastChannel("vectorize-turns");
    const others = new Set(); // that were gone to since
    const take = () => {
      setTurn(!document.hidden);
      if (document.hidden) return;
      others.clear();
      channel.postMessage(own);
    };
    channel.onmessage = ({ data }) => {
      others.add(data);
      if (others.size >= MOST) setTurn(false);
    };
    addEventListener("focus", take);
    document.addEventListener("visibilitychange", take);
    take();
    return () => {
      removeEventListener("focus", take);
      document.removeEventListener("visibilitychange", take);
      channel.close();
    };
  }, []);
  return turn;
}
