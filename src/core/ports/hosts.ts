/**
 * What pods say of the entity types that they work, and whether any works a type. Hints: nothing is decided by them.
 * Neighbours: `announcer.ts` says it, `host-lookup.ts` asks.
 */

/** What a pod says of a type: a short text that pods of one version have in common. */
export type HostedType = readonly [type: string, text: string];

/** At most so many texts of a type are read. */
export const MAX_HOST_TEXTS = 8;

export interface Hosts {
  /**
   * For `forMs` from now on this pod works these types.
   * @returns for each type what pods say of it, this one among them: at most {@link MAX_HOST_TEXTS} texts, the latest first.
   */
  announce(types: readonly HostedType[], forMs: number): Promise<readonly (readonly string[])[]>;
  /** Takes back what this pod has said. Others that say the same say it again. */
  withdraw(types: readonly HostedType[]): Promise<void>;
  /** Whether a live pod works each type, as far as pods have said lately. */
  areHosted(types: readonly string[]): Promise<readonly boolean[]>;
}
