/** The part of a store's contract about the types that live pods announce. */
import { resolveOptions } from '../../src/core/options/resolve.js';
import type { EntityStore } from '../../src/core/ports/store.js';
import { type Cluster, type CreateCluster, twoPods } from '../support/contract-pods.js';
import { serving } from '../support/settlements.js';

export function hostsContract(name: string, createCluster: CreateCluster): void {
  describe(`the contract of a store, hosts: ${name}`, () => {
    const config = resolveOptions({});
    const forMs = 60_000;
    let cluster: Cluster;
    let a: EntityStore;
    let b: EntityStore;

    beforeEach(async () => {
      ({ cluster, a, b } = await twoPods(createCluster, config));
    });
    afterEach(() => cluster.close());

    test('a type is hosted while the announcement of a pod lasts', async () => {
      expect(await b.hosts.areHosted(['account', 'order'])).toEqual([false, false]);
      await a.hosts.announce([['account', 'one']], 500);
      expect(await b.hosts.areHosted(['order', 'account'])).toEqual([false, true]);
      await cluster.timePasses(501);
      expect(await b.hosts.areHosted(['account'])).toEqual([false]);
    });

    test('a type is hosted while a pod takes more of its entities', async () => {
      await a.renew([], serving('account'));
      expect(await b.hosts.areHosted(['account', 'order'])).toEqual([true, false]);
    });

    test('an announcement lasts from its last repetition on; equal announcements of several pods are one', async () => {
      await a.hosts.announce([['account', 'one']], 200);
      await cluster.timePasses(150);
      expect(await b.hosts.announce([['account', 'one']], forMs)).toEqual([['one']]);
      await cluster.timePasses(100);
      expect(await a.hosts.areHosted(['account'])).toEqual([true]);
    });

    test('each announcement returns all that have not expired, the latest first', async () => {
      await a.hosts.announce([['account', 'brief']], 100);
      await a.hosts.announce([['order {1}:*', 'é "1"']], forMs);
      await a.hosts.announce([['account', 'one']], forMs);
      await cluster.timePasses(101);
      const said: readonly [string, string][] = [
        ['order {1}:*', 'two'],
        ['account', 'two'],
      ];
      expect(await b.hosts.announce(said, 2 * forMs)).toEqual([
        ['two', 'é "1"'],
        ['two', 'one'],
      ]);
    });

    test('of many announcements of one type the latest eight are read, for every type', async () => {
      for (let n = 0; n < 12; n++) await a.hosts.announce([['account', `text ${n}`]], forMs + n);
      const [texts] = await b.hosts.announce([['account', 'own']], 2 * forMs);
      expect(texts).toEqual(['own', 11, 10, 9, 8, 7, 6, 5].map(n => (n === 'own' ? n : `text ${n}`)));
      const types = Array.from({ length: 150 }, (_, n): [string, string] => [`type ${n}`, `${n}`]);
      expect(await a.hosts.announce(types, forMs)).toEqual(types.map(([, text]) => [text]));
      expect(await b.hosts.areHosted(types.map(([type]) => type))).toEqual(types.map(() => true));
    });

    test('a withdrawn announcement is gone, and no other', async () => {
      await a.hosts.announce(
        [
          ['account', 'one'],
          ['order', 'one'],
        ],
        forMs,
      );
      await b.hosts.announce([['account', 'two']], forMs);
      await a.hosts.withdraw([
        ['account', 'one'],
        ['order', 'one'],
      ]);
      expect(await b.hosts.areHosted(['account', 'order'])).toEqual([true, false]);
      expect(await b.hosts.announce([['account', 'two']], forMs)).toEqual([['two']]);
    });
  });
}
