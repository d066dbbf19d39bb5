/**
 * The path of the renewal thread's code. CommonJS in both builds: `__dirname` exists in no ES module. In a bundle the path leads
 * nowhere. Neighbour: `renewal-thread.ts` starts the thread.
 */
export const threadFile = typeof __dirname === 'string' ? `${__dirname}/renewal-thread.entry.js` : '';
