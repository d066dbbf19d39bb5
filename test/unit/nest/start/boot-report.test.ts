/** What an application logs about its entity types when it starts: forgotten handlers, mistyped options, minified names. */
import { Injectable, type LoggerService } from '@nestjs/common';
import { CommandHandler, CqrsModule } from '@nestjs/cqrs';
import { minifySync, transformSync } from '@swc/core';
import { HandlerTable } from '../../../../src/core/handlers/handler-table.js';
import { closest } from '../../../../src/core/model/did-you-mean.js';
import type { EngineOptions } from '../../../../src/core/options/options.js';
import { resolveOptions } from '../../../../src/core/options/resolve.js';
import { JobCommand } from '../../../../src/nest/decorators/job-command.decorator.js';
import { JobHandler } from '../../../../src/nest/decorators/job-handler.decorator.js';
import type { Class } from '../../../../src/nest/decorators/metadata.js';
import { QueueEntity, QueueEntityId } from '../../../../src/nest/decorators/queue-entity.decorator.js';
import { WorkerProcessor } from '../../../../src/nest/decorators/worker-processor.decorator.js';
import type { AtomicQueuesModuleOptions } from '../../../../src/nest/options/module-options.js';
import { reportAtStart } from '../../../../src/nest/start/boot-report.js';
import { RecordingLog } from '../../../support/log.js';
import { application } from '../../../support/nest-application.js';

@QueueEntity('account')
class WithdrawCommand {}

@CommandHandler(WithdrawCommand)
class WithdrawHandler {
  async execute() {}
}

@WorkerProcessor({ entityType: 'account' })
@Injectable()
class Accounts {
  @JobHandler('audit')
  audit() {}
}

/** The lines that an application logs until it has started. */
async function linesOf(
  providers: Parameters<typeof application>[0],
  options: Partial<AtomicQueuesModuleOptions> = {},
): Promise<string[]> {
  const lines: string[] = [];
  const log: LoggerService = {
    log: message => lines.push(`info ${message}`),
    warn: message => lines.push(`warn ${message}`),
    error: message => lines.push(`error ${message}`),
  };
  const app = await application(providers, { imports: [CqrsModule.forRoot()], ...options });
  app.useLogger(log);
  await app.init();
  await app.close();
  return lines.filter(line => !/Module|initialized/.test(line));
}

/** The log lines of a pod with these classes and handlers, `type:job`. */
function warningsOf(
  classes: readonly Class[],
  { handled = [], ...options }: EngineOptions & { handled?: readonly string[] } = {},
): string[] {
  const handlers = new HandlerTable();
  for (const one of handled) {
    const [type = '', name = ''] = one.split(':');
    handlers.add(type, name, { runner: async () => {}, origin: one });
  }
  const log = new RecordingLog();
  const configuredTypes = Object.keys(options.entities ?? {});
  reportAtStart({ config: resolveOptions(options), handlers, configuredTypes, log }, classes);
  return log.lines.filter(line => line.startsWith('warn'));
}

function decorated(name: string, options = {}): Class {
  const [cls] = Object.values({ [name]: class {} });
  QueueEntity('account', options)(cls as never);
  return cls as Class;
}

describe('the log line about entities at start', () => {
  const both = [WithdrawHandler, Accounts];

  test('lists the handlers of each entity type, and the types that this application only enqueues for', async () => {
    const [line] = await linesOf(both, { entities: { order: {} } });
    expect(line).toBe('info Entities: account: audit, WithdrawCommand; order: none, enqueue only');
  });

  test('says that a producerOnly pod runs no handlers', async () => {
    expect(await linesOf(both, { producerOnly: true })).toEqual([
      'info Entities: account; all enqueue only (producerOnly).',
    ]);
  });

  test('is bounded for any number and length of names', async () => {
    const entities = Object.fromEntries(Array.from({ length: 60 }, (_, n) => [`type${n}\n${'x'.repeat(200)}`, {}]));
    const [line = ''] = await linesOf(both, { entities });
    expect(line.length).toBeLessThan(2100);
    expect(line).toMatch(/; and \d+ more$/);
    expect(line).not.toContain('\n');
  });
});

describe('a forgotten handler', () => {
  const warning = /^warn No handler on this pod for WithdrawCommand \(account\)\..*@CommandHandler.*producerOnly: true/;

  test('causes a warning at start, with the remedy', async () => {
    expect(await linesOf([Accounts])).toContainEqual(expect.stringMatching(warning));
  });

  test('causes no warning on a producerOnly pod, or if a handler of the name, or of all names, exists', () => {
    expect(warningsOf([WithdrawCommand], { producerOnly: true })).toEqual([]);
    expect(warningsOf([WithdrawCommand], { handled: ['account:*'] })).toEqual([]);
    expect(warningsOf([WithdrawCommand], { handled: ['account:WithdrawCommand'] })).toEqual([]);
    for (const handled of [['account:deposit'], ['order:WithdrawCommand'], []])
      expect(warningsOf([WithdrawCommand], { handled })).toEqual([expect.stringMatching(warning)]);
  });

  test('of a @JobCommand causes a warning, too, but a superclass of handled commands is not a command', () => {
    @QueueEntity('account')
    abstract class AccountCommand {}
    @QueueEntity('account')
    class CloseCommand extends AccountCommand {}
    @JobCommand()
    class NotifyCommand {}
    const [line, ...more] = warningsOf([AccountCommand, CloseCommand, NotifyCommand], {
      handled: ['account:CloseCommand'],
    });
    expect(line).toContain('No handler on this pod for NotifyCommand.');
    expect(more).toEqual([]);
  });

  test('of many classes causes one bounded line that ends with the remedy', () => {
    const classes = Array.from({ length: 40 }, (_, n) => decorated(`Forgotten${n}${'x'.repeat(100)}Command`));
    const [line = '', ...more] = warningsOf(classes);
    expect(line).toMatch(/ and \d+ more\. .*ignore this warning\.$/);
    expect(line.length).toBeLessThan(2048);
    expect(more).toEqual([]);
  });
});

describe('an unused entity type in the options', () => {
  const handled = ['account:audit'];

  test('causes a warning with the type that was probably meant', () => {
    expect(warningsOf([], { handled, entities: { account: {}, acount: {}, invoice: {} } })).toEqual([
      expect.stringMatching(
        /^warn The option entities names types .*: "acount" \(did you mean "account"\?\), "invoice"\./,
      ),
    ]);
  });

  test('causes a warning if a command without a type might run there, and another type was probably meant', () => {
    const names = {
      'account:audit': undefined,
      'account:notify': class {},
      'acount:notify': class {},
      'other:notify': class {},
    };
    const handlers = new HandlerTable();
    for (const [one, target] of Object.entries(names)) {
      const [type = '', name = ''] = one.split(':');
      handlers.host(type, name);
      if (target && type === 'account')
        handlers.addCommand(name, { runner: async () => {}, origin: name, commandClass: target });
    }
    const log = new RecordingLog();
    reportAtStart({ config: resolveOptions({}), handlers, configuredTypes: ['account', 'acount', 'other'], log }, []);
    expect(log.lines.slice(1)).toEqual([expect.stringMatching(/names: "acount" \(did you mean "account"\?\)\./)]);
  });

  test('causes no warning on a producerOnly pod, which may enqueue by name, unless it is mistyped', () => {
    expect(warningsOf([WithdrawCommand], { producerOnly: true, entities: { invoice: {} } })).toEqual([]);
    expect(warningsOf([WithdrawCommand], { producerOnly: true, entities: { acount: {} } })).toEqual([
      expect.stringContaining('did you mean "account"?'),
    ]);
  });
});

describe('class names that a bundler has minified', () => {
  test.each(['e', 'po', '$1', 'cBe', '_t', 'aaa', ''])('cause a warning with the remedy: "%s"', name => {
    const [line, ...more] = warningsOf([decorated(name), WithdrawCommand], { producerOnly: true });
    expect(line).toMatch(/^warn Names of command classes look minified: .*name: 'WithdrawCommand'.*keepNames/);
    expect(line).toContain(`minified: ${name || '(no name)'} (account).`);
    expect(more).toEqual([]);
  });

  test('cause a warning for minified classes, and none for classes with a name', () => {
    const source = `
      import { QueueEntity, QueueEntityId } from 'atomic-queues';
      @QueueEntity('account')
      export class WithdrawCommand {
        constructor(@QueueEntityId() readonly accountId: string) {}
      }
      @QueueEntity('account', { name: 'DepositCommand' })
      export class DepositCommand {}
    `;
    const { code } = transformSync(source, {
      jsc: {
        parser: { syntax: 'typescript', decorators: true },
        transform: { legacyDecorator: true },
        target: 'es2022',
      },
      module: { type: 'commonjs' },
    });
    const minified = minifySync(code, { module: true, mangle: { toplevel: true } });
    const exports: Record<string, Class> = {};
    new Function('exports', 'require', minified.code)(exports, () => ({ QueueEntity, QueueEntityId }));
    const { WithdrawCommand, DepositCommand } = exports;
    const classes = [WithdrawCommand, DepositCommand].flatMap(cls => cls ?? []);
    expect(classes.map(({ name }) => name.length < 4)).toEqual([true, true]);
    expect(warningsOf(classes, { producerOnly: true })).toEqual([
      expect.stringContaining(`look minified: ${WithdrawCommand?.name} (account).`),
    ]);
  });

  test('cause no warning for a word of three letters, or a class with a declared name', () => {
    const classes = [decorated('Pay'), decorated('po', { name: 'Withdraw' })];
    expect(warningsOf(classes, { producerOnly: true })).toEqual([]);
  });
});

test.each([
  ['acount', ['order', 'account'], 'account'],
  ['Account', ['order', 'account'], 'account'],
  ['widthdraw', ['withdraw', 'deposit'], 'withdraw'],
  ['odrer', ['order'], 'order'],
  ['invoice', ['order', 'account'], undefined],
  ['account', ['account'], undefined],
  ['x'.repeat(65), ['x'.repeat(64)], undefined],
])('%s is the closest word among %j', (word, known, meant) => {
  expect(closest(word, known)).toBe(meant);
});
