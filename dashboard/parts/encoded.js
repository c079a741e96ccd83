// Any text as one part of a URL's path. Pure.

// Half of a character, which JSON may hold and a URL may not, becomes the mark of an unknown one.
export const encoded = (text) => encodeURIComponent(String(text).replace(/\p{Surrogate}/gu, '\ufffd'));

// Whether a text is a part of its own in no URL: everybody takes it for this folder, or the one above.
export const isFolder = (text) => text === '.' || text === '..';
