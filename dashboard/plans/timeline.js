// A plan as bars over time: a block of lanes a plan, so that work that runs side by side is seen so.
import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from '../vendor/htm-preact-3.1.1.js';
import { below } from '../events.js';
import { duration, running } from '../parts/time.js';
import { setParams } from '../route.js';
import { pan, ticks as ticksOf, within, zoom } from './axis.js';
import { AXIS, useFrame, useRange, useTheme } from './frame.js';
import { blocksWithin, hit, LANE, layout, stops } from './lanes.js';
import { standing } from './marks.js';
import { endOf, errorOf, isRunning, lasted, seqNamed, startOf } from './model.js';
import { coloursOf, paint } from './paint.js';
import { wordsOf } from './words.js';

const TICK_PX = 110;
// A bar is met by a pointer that is as near.
const SLACK_PX = 4;
const STEP = 1.6;
// A press that moves further draws a range.
const DRAG_PX = 4;
const DEPTH_MAX = 6;

const timeWords = (item, now) => {
  if (item.kind === 'decision') return '';
  return isRunning(item) ? running(lasted(item, now)) : duration(lasted(item, now));
};

// A tool may say that it ran for a part of the time between its call and its answer.
const betweenWords = (item) => {
  const [said, between] = [item.durationMs, endOf(item) - startOf(item)];
  return item.kind === 'call' && said !== null && between - said > 1 ? `, answered after ${duration(between)}` : '';
};

// What is under the pointer, or chosen by keys: beside its bar, where there is room.
const Tip = ({ item, start, now, whole, x, y, size }) => {
  const { title, more } = wordsOf(item);
  const { mark, hue, word } = standing(item);
  const error = errorOf(item);
  const side = x > size.width / 2 ? { right: `${Math.max(0, size.width - x)}px` } : { left: `${Math.max(0, x)}px` };
  const level = y > size.height / 2 ? { bottom: `${size.height - y}px` } : { top: `${y + LANE}px` };
  return html`<div class="tip" style=${{ ...side, ...level }}>
    <strong>${title}</strong>
    <span><span class=${hue}>${mark} ${word}</span> <span class="number">${timeWords(item, now)}</span><span class="faint">${betweenWords(item)}, at +${duration(start - whole.from)}</span></span>
    ${error && html`<span class="hue-red">${error}</span>`}
    ${more && html`<span class="faint">${more}</span>`}
  </div>`;
};

const Labels = ({ blocks, top, now, onOpen }) => blocks.map(({ plan, depth, top: at, height }) => {
  const { mark, hue, word } = standing(plan);
  const name = plan.goal || below(plan.id, plan.parent?.id);
  return html`<div key=${plan.id} class="timeline-label" title=${`${name}\n${plan.id}`} onClick=${() => onOpen(plan)}
    style=${{ top: `${AXIS + at - top}px`, height: `${height}px`, paddingLeft: `${Math.min(depth, DEPTH_MAX) * 0.75 + 0.5}rem` }}>
    <span class=${hue} aria-hidden="true">${mark}</span><span class="name">${name}</span><span class="sr-only">${word}</span>
    <span class="number faint">${timeWords(plan, now)}</span></div>`;
});

export const Timeline = ({ model, root, version, params, now, isReading }) => {
  const whole = useMemo(() => layout(root), [root, version]);
  const selected = model.items.get(seqNamed(model, params.event));
  const length = Math.max((whole.to ?? now) - whole.from, 0.01);
  const [range, setRange] = useRange(params);
  const window = range ? within(range, length) : { from: 0, to: length };
  const { frame, host, size, top, onScroll } = useFrame();
  const theme = useTheme();
  const canvas = useRef(null);
  const [hover, setHover] = useState(null);
  const [active, setActive] = useState(null);
  const [drag, setDrag] = useState(null);

  const scale = size.width / (window.to - window.from);
  const timeAt = (x) => window.from + x / scale;
  const xOf = (time) => (time - whole.from - window.from) * scale;
  const ticks = size.width ? ticksOf(window.from, window.to, Math.max(1, Math.floor(size.width / TICK_PX))) : [];
  const show = (next) => setRange(next && next.to - next.from < length ? next : null);
  const zoomBy = (factor, at = (window.from + window.to) / 2) => show(zoom(window, factor, at, length));
  const open = (item) => item?.seq && setParams({ event: item.seq });

  const colours = useMemo(() => (host.current ? coloursOf(host.current) : null), [theme, size]);
  useLayoutEffect(() => {
    if (!colours || !size.width || !size.height) return;
    const ratio = devicePixelRatio || 1;
    const [width, height] = [Math.round(size.width * ratio), Math.round(size.height * ratio)];
    if (canvas.current.width !== width || canvas.current.height !== height) Object.assign(canvas.current, { width, height });
    const context = canvas.current.getContext('2d');
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    paint(context, colours, { whole, window, size, top, now, ticks, selected });
  });

  const placeOf = (event) => {
    const box = canvas.current.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const under = ({ x, y }) => hit(whole, y + top, timeAt(x) + whole.from, SLACK_PX / scale);
  const onWheel = (event) => {
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      zoomBy(event.deltaY > 0 ? STEP ** 0.5 : STEP ** -0.5, timeAt(Math.max(0, placeOf(event).x)));
    } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      event.preventDefault();
      show(pan(window, (event.deltaX || event.deltaY) / scale, length));
    }
  };
  const onPointerDown = (event) => {
    if (event.button !== 0) return;
    const { x } = placeOf(event);
    canvas.current.setPointerCapture(event.pointerId);
    setDrag({ from: x, to: x });
  };
  const onPointerMove = (event) => {
    const place = placeOf(event);
    if (drag) setDrag({ ...drag, to: place.x });
    const found = under(place);
    setHover(found && { ...found, ...place });
  };
  const onPointerUp = (event) => {
    if (!drag) return;
    const [from, to] = [drag.from, drag.to].sort((a, b) => a - b);
    setDrag(null);
    if (to - from > DRAG_PX) show(within({ from: timeAt(from), to: timeAt(to) }, length));
    else open(under(placeOf(event))?.item);
  };

  // Moves to a bar, and brings it into view.
  const go = (block, stop) => {
    if (!stop) return;
    setActive({ plan: block.plan, item: stop.item });
    const [start, end] = [stop.start - whole.from, Math.min(stop.end, now) - whole.from];
    if (start > window.to || end < window.from) {
      const half = (window.to - window.from) / 2;
      show(within({ from: start - half, to: start + half }, length));
    }
    const [y, box] = [block.top + stop.lane * LANE, frame.current];
    if (y < box.scrollTop) box.scrollTop = y;
    if (y + LANE > box.scrollTop + size.height) box.scrollTop = y + LANE - size.height;
  };
  // What is open in the panel is brought into view; again when all is read, since lanes were added above.
  useEffect(() => {
    const holder = selected && whole.blocks.find(({ plan }) => plan === (selected.kind === 'plan' ? selected : selected.plan));
    if (holder) go(holder, stops(holder).find(({ item }) => item === selected));
  }, [selected, isReading]);
  const at = active ? whole.blocks.findIndex(({ plan }) => plan === active.plan) : -1;
  const block = whole.blocks[at];
  const blockStops = block ? stops(block) : [];
  const stopAt = active ? blockStops.findIndex(({ item }) => item === active.item) : -1;
  const stop = blockStops[stopAt];
  const goBlock = (to) => {
    const next = whole.blocks[Math.min(Math.max(to, 0), whole.blocks.length - 1)];
    const wanted = stop && stop.item.kind !== 'plan' ? stop.start : null;
    const all = stops(next);
    go(next, wanted === null ? all[0] : all.slice(1).find(({ start }) => start >= wanted) ?? all[0]);
  };
  const KEYS = {
    ArrowRight: () => (block ? go(block, blockStops[Math.min(stopAt + 1, blockStops.length - 1)]) : goBlock(0)),
    ArrowLeft: () => (block ? go(block, blockStops[Math.max(stopAt - 1, 0)]) : goBlock(0)),
    ArrowDown: () => goBlock(at + 1),
    ArrowUp: () => goBlock(at - 1),
    Home: () => goBlock(0),
    End: () => goBlock(whole.blocks.length - 1),
    Enter: () => open(stop?.item),
    '+': () => zoomBy(1 / STEP, stop ? stop.start - whole.from : undefined),
    '=': () => KEYS['+'](),
    '-': () => zoomBy(STEP, stop ? stop.start - whole.from : undefined),
    0: () => show(null),
  };
  const onKeyDown = (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || !Object.hasOwn(KEYS, event.key)) return;
    event.preventDefault();
    KEYS[event.key]();
  };

  const focus = stop && { ...stop, x: xOf(stop.start), y: block.top + stop.lane * LANE - top };
  const focusWidth = stop ? Math.max((Math.min(stop.end, Math.max(now, stop.start)) - stop.start) * scale, 8) : 0;
  const tip = hover ?? focus;
  return html`<div class="timeline">
    <div class="timeline-tools">
      <button title="Zoom out (−)" onClick=${() => zoomBy(STEP)}><span aria-hidden="true">−</span><span class="sr-only">Zoom out</span></button>
      <button title="Zoom in (+)" onClick=${() => zoomBy(1 / STEP)}><span aria-hidden="true">+</span><span class="sr-only">Zoom in</span></button>
      <button disabled=${!range} title="All of it (0, or a double click)" onClick=${() => show(null)}>All</button>
      <span class="hint faint">drag: a range · Ctrl + wheel: zoom · arrows: from bar to bar</span>
      <span class="legend" aria-hidden="true"><span class="hue-cyan">▌call</span><span class="hue-red">▌failed</span><span class="hue-blue">▌running</span><span class="hue-yellow">◆ decision</span></span>
    </div>
    <div class="timeline-frame" ref=${frame} onScroll=${onScroll} role="application" aria-roledescription="timeline" tabindex="0" aria-label="Timeline of the plan: arrows move from bar to bar, Enter opens" onKeyDown=${onKeyDown}
      aria-activedescendant=${stop ? 'timeline-active' : undefined}>
      <div class="timeline-view">
        <div class="timeline-corner">${duration(window.to - window.from)}</div>
        <${Labels} blocks=${blocksWithin(whole, top, top + size.height)} top=${top} now=${now} onOpen=${open} />
        <div class="timeline-host" ref=${host} onWheel=${onWheel}>
          <div class="timeline-axis" aria-hidden="true">${ticks.map(({ at: time, label }) => html`<span key=${time}
            style=${{ transform: `translateX(${(time - window.from) * scale}px)` }}>${(time - window.from) * scale < size.width - TICK_PX / 2 && label}</span>`)}</div>
          <div class="timeline-canvas" style=${{ height: `${size.height}px` }}>
            <canvas ref=${canvas} class=${hover ? 'is-over' : ''} onPointerDown=${onPointerDown} onPointerMove=${onPointerMove}
              onPointerUp=${onPointerUp} onPointerCancel=${() => setDrag(null)} onPointerLeave=${() => setHover(null)} onDblClick=${() => show(null)}></canvas>
            ${drag && Math.abs(drag.to - drag.from) > DRAG_PX && html`<div class="timeline-drag"
              style=${{ left: `${Math.min(drag.from, drag.to)}px`, width: `${Math.abs(drag.to - drag.from)}px` }}></div>`}
            ${focus && html`<div id="timeline-active" class="timeline-active" role="img" aria-label=${`${wordsOf(focus.item).title}, ${standing(focus.item).word} ${timeWords(focus.item, now)}`}
              style=${{ left: `${focus.item.kind === 'decision' ? focus.x - 4 : focus.x}px`, top: `${focus.y}px`, width: `${focusWidth}px`, height: `${LANE}px` }}></div>`}
            ${tip && !drag && html`<${Tip} item=${tip.item} start=${tip.start} now=${now} whole=${whole} x=${tip.x} y=${tip.y} size=${size} />`}
          </div>
        </div>
      </div>
      <div class="timeline-all" style=${{ height: `${Math.max(0, whole.height - size.height)}px` }}></div>
    </div>
  </div>`;
};
