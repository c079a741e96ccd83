// What a timeline is drawn in: the window of time, as the URL has it, the place on the page, the theme.
import { useEffect, useLayoutEffect, useRef, useState } from '../vendor/htm-preact-3.1.1.js';
import { setParams } from '../route.js';
import { formatRange, parseRange } from './axis.js';

// The height of the axis above the bars.
export const AXIS = 28;
// The URL is told of the window when it has stood still for so long.
const SETTLED_MS = 250;

// The window that is looked at: null is all of it. It is in the URL as `range`.
export const useRange = (params) => {
  const [range, setRange] = useState(parseRange(params.range));
  const told = useRef(params.range ?? '');
  useEffect(() => {
    if ((params.range ?? '') === told.current) return;
    told.current = params.range ?? '';
    setRange(parseRange(params.range));
  }, [params.range]);
  useEffect(() => {
    const words = formatRange(range);
    if (words === told.current) return undefined;
    const timer = setTimeout(() => {
      told.current = words;
      setParams({ range: words }, { replace: true });
    }, SETTLED_MS);
    return () => clearTimeout(timer);
  }, [range]);
  return [range, setRange];
};

// The size of the drawing and how far it is scrolled.
export const useFrame = () => {
  const frame = useRef(null);
  const host = useRef(null);
  const [size, setSize] = useState({ width: 0, height: 0 });
  const [top, setTop] = useState(0);
  useLayoutEffect(() => {
    const look = () => {
      const next = { width: host.current.clientWidth, height: Math.max(0, frame.current.clientHeight - AXIS) };
      setSize((before) => (before.width === next.width && before.height === next.height ? before : next));
    };
    look();
    const observer = new ResizeObserver(look);
    observer.observe(frame.current);
    return () => observer.disconnect();
  }, []);
  return { frame, host, size, top, onScroll: () => setTop(frame.current.scrollTop) };
};

// Changes with the theme, for what is drawn and not styled.
export const useTheme = () => {
  const [theme, setTheme] = useState(0);
  useEffect(() => {
    const turn = () => setTheme((before) => before + 1);
    const dark = matchMedia('(prefers-color-scheme: dark)');
    const observer = new MutationObserver(turn);
    observer.observe(document.documentElement, { attributeFilter: ['data-theme'] });
    dark.addEventListener('change', turn);
    return () => {
      observer.disconnect();
      dark.removeEventListener('change', turn);
    };
  }, []);
  return theme;
};
