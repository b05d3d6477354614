// An answer of the server as a component sees it: waiting, there, or refused.
import { useCallback, useEffect, useState } from "./lib.js";

/**
 * Calls `ask(signal)` whenever one of `on` changes, and gives up the call before.
 *
 * What was there stays visible while the next one is on its way (`waiting`). `again()` asks once more.
 */
export function useAnswer(ask, on) {
  const [answer, setAnswer] = useState({ value: undefined, error: null, waiting: true });
  const [round, setRound] = useState(0);
  useEffect(() => {
    if (!ask) {
      setAnswer({ value: undefined, error: null, waiting: false });
      return undefined;
    }
    const given = new AbortController();
    setAnswer((before) => ({ ...before, waiting: true }));
    ask(given.signal).then(
      (value) => given.signal.aborted || setAnswer({ value, error: null, waiting: false }),
      (error) => given.signal.aborted || setAnswer({ value: undefined, error, waiting: false }),
    );
    return () => given.abort();
  }, [...on, round]);
  const again = useCallback(() => setRound((number) => number + 1), []);
  return { ...answer, again };
}
