// Times and durations, in words as the terminal has them, and a clock for what is still running.
import { useEffect, useState } from '../vendor/htm-preact-3.1.1.js';

// Milliseconds as people read them: `850 µs`, `12.3 ms`, `4.20 s`, `3m 05s`, `2h 07m`.
export const duration = (ms) => {
  if (!Number.isFinite(ms) || ms < 0) return '';
  if (ms < 1) return `${Math.round(ms * 1000)} µs`;
  if (ms < 1_000) return `${ms < 10 ? ms.toFixed(2) : ms.toFixed(1)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(2)} s`;
  const seconds = Math.floor(ms / 1000);
  const two = (number) => String(number).padStart(2, '0');
  if (seconds < 3_600) return `${Math.floor(seconds / 60)}m ${two(seconds % 60)}s`;
  const hours = Math.floor(seconds / 3_600);
  if (hours < 48) return `${hours}h ${two(Math.floor(seconds / 60) % 60)}m`;
  return `${Math.floor(hours / 24)}d ${hours % 24}h`;
};

// How long something has been running: in steps that a reader can follow.
export const running = (ms) => (ms < 60_000 ? `${(Math.max(0, ms) / 1000).toFixed(1)} s` : duration(ms));

// The time of day with milliseconds; another day with its date.
export const clock = (text, now = new Date()) => {
  const time = new Date(text);
  if (Number.isNaN(time.getTime())) return '';
  const two = (number, digits = 2) => String(number).padStart(digits, '0');
  const day = `${two(time.getMonth() + 1)}-${two(time.getDate())}`;
  const hour = `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}.${two(time.getMilliseconds(), 3)}`;
  if (time.toDateString() === now.toDateString()) return hour;
  return time.getFullYear() === now.getFullYear() ? `${day} ${hour}` : `${time.getFullYear()}-${day} ${hour}`;
};

const number = new Intl.NumberFormat('en-US');
export const count = (value) => number.format(value);
export const counted = (value, word) => `${count(value)} ${word}${value === 1 ? '' : 's'}`;

export const bytes = (value) => {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let at = 0;
  while (value >= 1024 && at < units.length - 1) {
    value /= 1024;
    at += 1;
  }
  return `${at ? value.toFixed(1) : value} ${units[at]}`;
};

// The time, again and again while something is running; a component that shows what has ended passes
// false and is left alone.
export const useNow = (isRunning, everyMs = 100) => {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    if (!isRunning) return undefined;
    setNow(Date.now());
    const timer = setInterval(() => document.hidden || setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [isRunning, everyMs]);
  return now;
};
