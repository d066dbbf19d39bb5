// Guards of bulks; for `scripts/mutation-check.mjs`.
const BULK = ['test/unit/core/enqueue/bulk.test.ts'];

export const bulkGuards = [
  {
    guard: 'a job that would be dropped as the duplicate of another one of its bulk is refused',
    cites: 'I10',
    file: 'src/core/enqueue/enqueuer.ts',
    from: 'check: request => refuseDuplicate(this.check(request, context)),',
    to: 'check: request => this.check(request, context),',
    tests: BULK,
  },
  {
    guard: 'ids of jobs are compared within an entity only',
    cites: 'I10',
    file: 'src/core/options/job-options.ts',
    from: 'JSON.stringify([option, entity.type, entity.id, idOf(options[option])])',
    to: 'JSON.stringify([option, entity.type, idOf(options[option])])',
    tests: BULK,
  },
  {
    guard: 'default options have no id that all jobs would share',
    cites: 'I10',
    file: 'src/core/options/job-options.ts',
    from: '  if (name === undefined) return;\n',
    to: '  return;\n',
    tests: BULK,
  },
];
