/**
 * What pods announce of the entity types that they work, and whether any pod works a type. Hints: no step of the store depends on them.
 * Neighbours: `pod/announcer.ts` announces, `pod/host-lookup.ts` asks.
 */

/** What a pod announces of a type: a short text, the same for all pods of one version. */
export type HostedType = readonly [type: string, text: string];

/** Maximum number of texts of a type that are read. */
export const MAX_HOST_TEXTS = 8;

export interface Hosts {
  /**
   * Announces for `forMs` that this pod works these types.
   * @returns for each type the texts of all pods, this one included: at most {@link MAX_HOST_TEXTS}, the latest first.
   */
  announce(types: readonly HostedType[], forMs: number): Promise<readonly (readonly string[])[]>;
  /** Withdraws what this pod has announced. Other pods with the same text announce it again. */
  withdraw(types: readonly HostedType[]): Promise<void>;
  /** For each type, whether a live pod has announced it lately. */
  areHosted(types: readonly string[]): Promise<readonly boolean[]>;
}
