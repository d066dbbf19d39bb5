// Guards of bulks; for `scripts/mutation-check.mjs`.

export const bulkGuards = [
  {
    guard: 'a job that would be dropped as the duplicate of another one of its bulk is refused',
    cites: 'I10',
    at: 'enqueuer.enqueueBulk',
    from: 'refuseDuplicate(this.check(request, context)',
    to: 'this.check(request, context',
    tests: ['unit/core/enqueue/bulk'],
  },
  {
    guard: 'ids of jobs are compared within an entity only',
    cites: 'I10',
    at: 'job-options.duplicateCheck',
    from: 'entity.id, idOf',
    to: 'idOf',
    tests: ['unit/core/enqueue/bulk'],
  },
  {
    guard: 'default options have no id that all jobs would share',
    cites: 'I10',
    at: 'job-options.checkJobOptions',
    from: 'if (name === undefined) return',
    to: 'return',
    tests: ['unit/core/enqueue/bulk'],
  },
];
