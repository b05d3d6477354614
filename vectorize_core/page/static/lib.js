// What every panel is made with.
import htm from "./vendor/htm.js";
import { h } from "./vendor/preact.js";

export { Fragment, render } from "./vendor/preact.js";
export {
  useCallback,
  useEffect,
  useId,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from "./vendor/preact-hooks.js";
export { batch, computed, effect, signal, useSignal, useSignalEffect } from "./vendor/signals.js";

// Text in it is always text: nothing here makes HTML of a string.
export const html = htm.bind(h);
