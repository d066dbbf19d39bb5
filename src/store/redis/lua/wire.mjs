/**
 * What the calls carry: the arguments of each op of the dispatcher, in their order. The only place that says so.
 *
 * `scripts/lua.mjs` makes three things of these tables: the encoders of the TypeScript sources (`generated-wire.ts`), the names of
 * positions that Lua files use (`END_STATUS`), and a check that each `function OPS.…` has these parameters.
 * Responses are told by each op in its Lua file. Neighbour: `renewal.lua` is a script of its own, with arguments of its own.
 */

/** Every argument: its type in TypeScript. The same name means the same in every call. */
export const FIELDS = {
  // An entity
  /** What the keys of its queue begin with. */
  B: 'string',
  /** Its type and its id, encoded as in keys. */
  T: 'string',
  I: 'string',

  // A claim
  /** '': asks only, or knows of no claim. */
  epoch: "number | ''",
  newEpoch: 'number',
  mode: "'idle' | 'hand-over' | 'give-way'",
  maxStalled: 'number',
  graceMs: 'number',

  // A fetch
  /** BullMQ's options for a fetch, as JSON. */
  takeOpts: 'string',
  n: 'number',
  /** The owner is called for more for `forMs`, while fewer than `upTo` jobs are fetched; '': it is not. */
  upTo: "number | ''",
  forMs: "number | ''",

  // A job
  jobId: 'string',
  /** Its number among the jobs of its queue, and when it was added: together they tell it from others with its id. */
  nth: 'string',
  addedAt: 'string',
  name: 'string',
  data: 'string',
  timestamp: 'number',
  /** BullMQ's options of a job that is added, or that has ended, as JSON. */
  opts: 'string',
  /** '' for none. */
  envelope: 'string',

  // An add
  kind: "'standard' | 'delayed' | 'prioritized' | 'parent'",
  /** '': BullMQ numbers it. */
  customId: 'string',
  /** The key of its deduplication id, or ''. */
  dedupKey: 'string',
  /** '': no bound. */
  maxPending: "number | ''",
  mayClaim: '0 | 1',
  /** Maximum number of handlers that run at a time. */
  handlers: 'number',
  /** This pod, if it owns the entity, fetches the job at once while fewer than these are fetched. */
  maxActive: 'number',
  /** The number of its parent in the flow, which precedes it, or 0. */
  parentNumber: 'number',

  // An end
  lockMs: 'number',
  status: "'completed' | 'failed' | 'dead' | 'retrying' | 'blocked' | 'postponed'",
  /** The result as JSON, or why it failed; of a job that comes back, how, as JSON (`retry-job.lua`). */
  value: 'string',
  /** What a failure writes into its hash, as JSON: names and values in turn. */
  fields: 'string',
  /** When its schedule runs next; 'interval': BullMQ computes it; 'over': never; '': it belongs to no schedule. */
  nextRun: "number | 'interval' | 'over' | ''",
  /** BullMQ's field of that name, '{}' if it is gone, or '' for a job without a parent. */
  parent: 'string',
  /** '<pod> <call> <kind> <text>', or '' if no call waits, or the job comes back. */
  reply: 'string',
  /** Whether an end may not overtake the end of an older job. */
  ordered: '0 | 1',
  /** The jobs that run alongside a read. */
  siblingId: 'string',

  // What a handler writes to its job, and reads of its children
  body: 'string',
  nKeys: 'number',
  bodyArgument: 'string | number',
  childKey: 'string',

  // Pages and searches
  from: 'number',
  limit: 'number',
  count: 'number',
  cursor: 'string',
  intervalMs: 'number',
  match: 'string',

  // Hosts
  lifeMs: 'number',
  most: 'number',
  text: 'string',

  // Replies
  podId: 'string',
  call: 'string',
  replyKind: 'string',
  entryId: 'string',

  // An operator
  change: "'paused' | 'resumed'",
  how: "'retry' | 'skip' | 'drop'",
  state: 'string',
  letter: 'string',
  /** Letters after this one. */
  after: 'string',
  scheduleId: 'string',
  /** What BullMQ keeps of a schedule, and the options of its jobs, as JSON. */
  what: 'string',
  template: 'string',
};

/** Groups of arguments that calls share, or repeat. A record may have records. */
export const RECORDS = {
  ADD: `B T I kind name timestamp data opts customId dedupKey maxPending
    epoch mayClaim takeOpts maxStalled handlers maxActive envelope`,
  FLOW_JOB: 'parentNumber ADD',
  END: 'jobId lockMs status value opts fields nextRun parent reply',
  SENT_END: 'nth addedAt END',
  HOSTED_TYPE: 'T text',
  ASKED_JOB: 'B jobId call',
  QUEUE: 'B I',
};

/** Every op. `*` is for any number of them, at the end. */
export const CALLS = {
  // Intake
  add: 'ADD',
  addAll: 'ADD*',
  addFlow: 'FLOW_JOB*',

  // Claims
  tryClaim: 'B T I epoch takeOpts maxStalled',
  endBeforeResync: 'B epoch newEpoch SENT_END*',
  resync: 'B T I epoch newEpoch takeOpts SENT_END*',
  release: 'B T I epoch mode',
  defer: 'B T I epoch jobId graceMs',

  // Work
  take: 'B T I epoch takeOpts n upTo forMs',
  finish: 'B epoch n takeOpts ordered END siblingId*',
  finishAll: 'B epoch n takeOpts ordered END*',
  giveBack: 'B epoch jobId*',
  touch: 'B epoch body nKeys bodyArgument*',
  children: 'B epoch jobId childKey*',

  // Wake-ups
  due: 'T from limit',
  spawned: 'limit takeOpts T*',
  requestWorker: 'T I',
  backlogs: 'B*',
  leftovers: 'limit T*',
  discover: 'cursor intervalMs count match T*',

  // Hosts
  announce: 'lifeMs most HOSTED_TYPE*',
  withdraw: 'HOSTED_TYPE*',
  areHosted: 'T*',

  // Replies
  tell: 'podId call replyKind text',
  unread: 'entryId*',
  find: 'ASKED_JOB*',
  cancel: 'B T I jobId call',

  // Operators
  pause: 'B T I change',
  pauseType: 'T change',
  entitiesOf: 'T cursor count',
  tellOfType: 'T QUEUE*',
  unblock: 'B T I how jobId',
  drop: 'B T I',
  clear: 'B T I',
  isDropping: 'B T I',
  status: 'B T',
  list: 'B state from limit',
  letters: 'T from limit',
  letterIds: 'T after limit',
  letterOf: 'T letter',
  removeLetter: 'T letter',
  replay: 'B T I letter',
  schedule: 'B T I scheduleId nextRun what template opts data envelope',
  unschedule: 'B T I scheduleId',
  schedules: 'B from limit',
};
