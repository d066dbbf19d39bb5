// Where the code of the thread for renewals lies, for tests: a thread runs outside of Jest, and needs the compiled code.
// Without a build renewals are made in the main thread, as in a bundle.
const { resolve } = require('node:path');

exports.threadFile = resolve(__dirname, '../../dist/esm/store/redis/renewal/renewal-thread.entry.js');
