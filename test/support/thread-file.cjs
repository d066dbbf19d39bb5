// The path of the renewal thread's code, for tests: a thread runs outside of Jest, and needs the compiled code.
// Without a build the main thread renews, as in a bundle.
const { resolve } = require('node:path');

exports.threadFile = resolve(__dirname, '../../dist/esm/store/redis/renewal/renewal-thread.entry.js');
