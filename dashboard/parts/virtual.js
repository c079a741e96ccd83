// A list of any length of which only the rows that can be seen are on the page; moved through by keys.
import { html, useEffect, useLayoutEffect, useRef, useState } from '../vendor/htm-preact-3.1.1.js';

// Rows above and below the window, so that a short scroll finds them there.
const SPARE = 8;

// Rows of one height. `row(at)` gives what stands in a row, `keyOf(at)` its name, `onOpen(at)` is called
// by Enter and by a click, `onEnd` when the last rows come near. `anchor` names the row that stays where
// it is while rows are put in above it; where rows are also taken away, `origin` says how many were taken
// from the top less those that were put there. `isTailing` keeps the end in view while the reader is
// there. The row `selected` by its name is brought into view where `selectedAt` tells its place. The list
// begins again when `resetKey` changes: at its top, or at its end where that is kept in view.
// Of another `role` than a listbox, `rowProps(at)` says what the rows are; `onKey(event, at)` takes a key
// (true, or the place to move to) or leaves it (false).
export const VirtualList = ({
  label, count, height, row, keyOf, onOpen, onEnd, onTop, anchorKey, origin = 0, isTailing, selected, selectedAt = -1, resetKey,
  role = 'listbox', rowProps, onKey,
}) => {
  const frame = useRef(null);
  const seen = useRef({ count, anchor: null, origin, isAtEnd: true });
  const [view, setView] = useState({ top: 0, rows: 40 });
  const [active, setActive] = useState(-1);
  const id = useRef(`list-${Math.random().toString(36).slice(2)}`).current;

  const look = () => {
    const box = frame.current;
    if (!box) return;
    const top = Math.max(0, Math.floor(box.scrollTop / height));
    const rows = Math.ceil(box.clientHeight / height) + 1;
    seen.current.isAtEnd = box.scrollTop + box.clientHeight >= box.scrollHeight - height;
    setView((before) => (before.top === top && before.rows === rows ? before : { top, rows }));
    onTop?.(box.scrollTop < height);
    if (count && top + rows >= count - SPARE) onEnd?.();
  };
  useLayoutEffect(() => {
    const box = frame.current;
    const added = count - seen.current.count;
    // Rows that came above the reader do not move what is read.
    if (anchorKey !== undefined && added > 0 && seen.current.anchor !== anchorKey && box.scrollTop >= height) {
      box.scrollTop += added * height;
      if (active >= 0) setActive(active + added);
    }
    const moved = seen.current.origin - origin;
    if (moved && (moved < 0 || box.scrollTop >= height)) box.scrollTop += moved * height;
    if (moved && active >= 0) setActive(active + moved);
    if (isTailing && added > 0 && seen.current.isAtEnd) box.scrollTop = box.scrollHeight;
    seen.current = { ...seen.current, count, anchor: anchorKey, origin };
    look();
  }, [count, anchorKey, origin]);
  useLayoutEffect(() => {
    frame.current.scrollTop = isTailing ? frame.current.scrollHeight : 0;
    setActive(-1);
    look();
  }, [resetKey]);
  const latest = useRef(look);
  latest.current = look;
  useEffect(() => {
    const observer = new ResizeObserver(() => latest.current());
    observer.observe(frame.current);
    return () => observer.disconnect();
  }, []);

  const move = (to) => {
    const at = Math.min(Math.max(to, 0), count - 1);
    const box = frame.current;
    setActive(at);
    if (at * height < box.scrollTop) box.scrollTop = at * height;
    const below = (at + 1) * height - box.clientHeight;
    if (below > box.scrollTop) box.scrollTop = below;
  };
  // What was chosen elsewhere is shown amid what is around it.
  const reveal = (at) => {
    const box = frame.current;
    const isSeen = at * height >= box.scrollTop && (at + 1) * height <= box.scrollTop + box.clientHeight;
    if (!isSeen) box.scrollTop = (at + 0.5) * height - box.clientHeight / 2;
    setActive(at);
  };
  useLayoutEffect(() => {
    if (selectedAt >= 0 && selectedAt !== active) reveal(selectedAt);
  }, [selected, selectedAt >= 0]);
  const onKeyDown = (event) => {
    const page = Math.max(1, view.rows - 2);
    const moves = { ArrowDown: active + 1, ArrowUp: active - 1, PageDown: active + page, PageUp: active - page, Home: 0, End: count - 1 };
    if (event.altKey || event.ctrlKey || event.metaKey || event.target !== frame.current) return;
    const taken = active >= 0 && active < count && onKey?.(event, active);
    if (taken || taken === 0) {
      if (taken !== true) move(taken);
      event.preventDefault();
    } else if (Object.hasOwn(moves, event.key) && count) {
      move(moves[event.key]);
      event.preventDefault();
    } else if (event.key === 'Enter' && active >= 0 && active < count) {
      onOpen?.(active);
      event.preventDefault();
    }
  };

  const first = Math.max(0, view.top - SPARE);
  const last = Math.min(count, view.top + view.rows + SPARE);
  const rows = [];
  for (let at = first; at < last; at += 1) {
    const key = keyOf(at);
    const classes = `row${at === active ? ' is-active' : ''}${key === selected ? ' is-selected' : ''}`;
    rows.push(html`<div key=${key} id=${`${id}-${at}`} class=${classes} role="option" aria-selected=${key === selected || at === active}
      aria-posinset=${at + 1} aria-setsize=${count} ...${rowProps?.(at)} style=${{ transform: `translateY(${at * height}px)`, height: `${height}px` }}
      onClick=${() => { setActive(at); onOpen?.(at); }}>${row(at)}</div>`);
  }
  return html`<div class="virtual" ref=${frame} role=${role} tabindex="0" aria-label=${label} onScroll=${look} onKeyDown=${onKeyDown}
    aria-activedescendant=${active >= first && active < last ? `${id}-${active}` : undefined}>
    <div class="virtual-all" role="presentation" style=${{ height: `${count * height}px` }}>${rows}</div>
  </div>`;
};
