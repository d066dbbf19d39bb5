/**
 * Where the code of the thread for renewals lies. CommonJS in both builds, since `__dirname` is the one way to say so
 * that exists in both; in a bundle it leads nowhere, and an ES module has none.
 */
export const threadFile = typeof __dirname === 'string' ? `${__dirname}/renewal-thread.entry.js` : '';
