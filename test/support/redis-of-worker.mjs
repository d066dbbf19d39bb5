// Before each file: REDIS_URL is the server of the worker that runs it.
const urls = process.env.REDIS_URLS.split(' ');
process.env.REDIS_URL = urls[(Number(process.env.JEST_WORKER_ID) - 1) % urls.length];
