// Where the bars of a timeline lie: a block of lanes a plan, so that work that overlaps is side by side.
// And the window of time that is looked at, with the ticks of its axis. Pure.
import { endOf, plansBelow, startOf } from './model.js';

export const LANE = 20;
// Between the blocks of two plans.
const GAP = 6;
const NEVER = Number.POSITIVE_INFINITY;

// A plan has no more lanes: what runs beside as many lies over others in the last.
export const LANES_MAX = 64;

// Gives each bar a lane in which nothing else lies at its time: the first that is free. `reach` is where
// the bars up to this one end, so that what a window shows is found by halves.
const pack = (bars) => {
  const lanes = [];
  for (const bar of bars) {
    let lane = lanes.find(({ reach }) => reach <= bar.start);
    if (!lane && lanes.length === LANES_MAX) lane = lanes[LANES_MAX - 1];
    if (!lane) {
      lane = { reach: -NEVER, bars: [] };
      lanes.push(lane);
    }
    lane.reach = Math.max(lane.reach, bar.end);
    lane.bars.push({ ...bar, reach: lane.reach });
  }
  return lanes.map((lane) => lane.bars);
};

// A bar has `end` NEVER while what it shows runs.
const barOf = (item) => {
  const start = startOf(item);
  return { item, start, end: Math.max(start, endOf(item) ?? NEVER) };
};

// Times in which anything below a plan runs, joined: [{start, end}].
const joined = (bars) => {
  const spans = [];
  for (const { start, end } of [...bars].sort((a, b) => a.start - b.start)) {
    const last = spans[spans.length - 1];
    if (last && start <= last.end) last.end = Math.max(last.end, end);
    else spans.push({ start, end });
  }
  return spans;
};

const blockOf = (plan, depth, top) => {
  const calls = [];
  const marks = [];
  const below = [];
  for (const item of plan.items) {
    if (item.kind === 'decision') marks.push(item);
    else if (item.kind === 'call') calls.push(barOf(item));
    else below.push(barOf(item));
  }
  calls.sort((a, b) => a.start - b.start);
  marks.sort((a, b) => a.startMs - b.startMs);
  const runs = plan.runs.length
    ? plan.runs.map(({ startMs, endMs, status }) => ({ item: plan, start: startMs, end: endMs ?? NEVER, status }))
    : [{ ...barOf(plan), status: null }];
  const lanes = pack(calls);
  return { plan, depth, top, height: (1 + lanes.length) * LANE + GAP, runs, lanes, marks, busy: joined([...calls, ...below]) };
};

// The whole timeline of a plan: {blocks, height, from, to}; `to` is null while anything runs.
export const layout = (root) => {
  const blocks = [];
  let [top, from, to] = [0, startOf(root), startOf(root)];
  for (const { plan, depth } of plansBelow(root)) {
    const block = blockOf(plan, depth, top);
    blocks.push(block);
    top += block.height;
    for (const bar of [...block.runs, ...block.busy]) {
      from = Math.min(from, bar.start);
      to = Math.max(to, bar.end);
    }
    for (const mark of block.marks) to = Math.max(to, mark.startMs);
  }
  return { blocks, height: top, from, to: to === NEVER ? null : to };
};

// The place of the first for which `isBehind` holds; all that follow must be so too.
export const firstWhere = (list, isBehind) => {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (isBehind(list[middle])) high = middle;
    else low = middle + 1;
  }
  return low;
};

// The blocks that lie between two heights.
export const blocksWithin = ({ blocks }, top, bottom) => {
  const first = firstWhere(blocks, (block) => block.top + block.height > top);
  return blocks.slice(first, firstWhere(blocks, (block) => block.top >= bottom));
};

// What lies at a height and a time; a bar that is shorter than `slack` is met beside it too.
export const hit = (whole, y, time, slack) => {
  const block = whole.blocks[firstWhere(whole.blocks, ({ top, height }) => top + height > y)];
  if (!block || y < block.top) return null;
  const lane = Math.floor((y - block.top) / LANE);
  if (lane === 0) {
    const mark = nearest(block.marks, (item) => item.startMs, time);
    if (mark && Math.abs(mark.startMs - time) <= slack) return { block, item: mark, start: mark.startMs, end: mark.startMs };
    const run = block.runs.find(({ start, end }) => start - slack <= time && time <= end + slack);
    return run ? { block, ...run } : null;
  }
  const bars = block.lanes[lane - 1];
  if (!bars) return null;
  const next = firstWhere(bars, ({ start }) => start > time);
  const [left, right] = [bars[next - 1], bars[next]];
  if (left && time <= left.end) return { block, ...left };
  if (left && time - left.end <= slack && !(right && right.start - time < time - left.end)) return { block, ...left };
  return right && right.start - time <= slack ? { block, ...right } : null;
};

const nearest = (list, placeOf, time) => {
  const at = firstWhere(list, (one) => placeOf(one) >= time);
  const [left, right] = [list[at - 1], list[at]];
  if (!left || !right) return left ?? right;
  return time - placeOf(left) < placeOf(right) - time ? left : right;
};

// All of a block in the order of time, for keys: the plan first.
export const stops = ({ plan, runs, lanes, marks }) => {
  const bars = lanes.flatMap((lane, at) => lane.map((bar) => ({ ...bar, lane: at + 1 })));
  const points = marks.map((item) => ({ item, start: item.startMs, end: item.startMs, lane: 0 }));
  return [{ item: plan, start: runs[0].start, end: runs[runs.length - 1].end, lane: 0 }, ...[...bars, ...points].sort((a, b) => a.start - b.start)];
};
