// What cannot be drawn says so in its own place, and leaves the rest of the page alone.
import { html, useEffect, useErrorBoundary } from '../vendor/htm-preact-3.1.1.js';
import { Failed } from './notice.js';

// `of` is what is drawn: when it changes, it is tried again.
export const Boundary = ({ of, children }) => {
  const [error, again] = useErrorBoundary((cause) => console.error(cause));
  useEffect(() => {
    if (error) again();
  }, [of]);
  return error ? html`<${Failed} error=${error} again=${again} />` : children;
};
