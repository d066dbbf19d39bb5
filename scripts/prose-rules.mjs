// The rules of our prose: words and shapes that are banned, and what to write instead.
// Neighbours: `prose-text.mjs` finds the prose, `prose-lint.mjs` says which files must keep the rules.

/** Words of a sentence, at most. */
export const MAX_WORDS = 30;

/**
 * @typedef {{ id: string, pattern: RegExp, instead: string, kinds?: readonly string[] }} Rule
 */

/** Headings name places and questions: there some words are right. */
const PROSE = ['paragraph', 'cell', 'comment', 'message', 'title'];

/** @type {readonly Rule[]} */
export const RULES = [
  // Nameless actors.
  { id: 'nobody', pattern: /\b(nobody|no one|somebody|someone|anybody|anyone)\b/i, instead: 'name the actor' },
  { id: 'whoever', pattern: /\b(whoever|whomever|whatever)\b/i, instead: 'name the actor or the thing' },
  { id: 'person', pattern: /\b(person|persons|people)\b/i, instead: 'the operator, the caller, the user' },
  { id: 'who', pattern: /\b(who|whom)\b/i, instead: 'name the actor' },
  // Home-made or old words.
  { id: 'anew', pattern: /\banew\b/i, instead: 'again; of a worker: resync' },
  { id: 'likewise', pattern: /\blikewise\b/i, instead: 'also, or the sentence itself' },
  { id: 'beside', pattern: /\bbeside\b/i, instead: 'alongside, next to, in addition to' },
  { id: 'as that of', pattern: /\bas (that|those) of\b/i, instead: '"overrides …" or "like …"' },
  { id: 'for good', pattern: /\bfor good\b/i, instead: 'finally, permanently; of a job: without attempts left' },
  { id: 'lest', pattern: /\blest\b/i, instead: 'so that … not' },
  { id: 'came past', pattern: /\b(came|come|comes|coming) past\b/i, instead: 'added outside this library' },
  { id: 'in books', pattern: /\b(in|of|off) (no |the |its |their )?books?\b/i, instead: 'the inspection schedule' },
  {
    id: 'tries',
    pattern: /\b(tries (left|used)|(its|no|more|further|many|last|first|failed|all|each|another|of) (try|tries))\b/i,
    instead: 'attempt, attempts',
  },
  {
    id: 'tenure',
    pattern: /\b(tenure|job[- ]line|owed answers?)\b/i,
    instead: 'worker state, local queue, pending responses',
  },
  { id: 'is through', pattern: /\b(is|are) through\b(?! \w)/i, instead: 'has finished' },
  { id: 'is to be', pattern: /\b(is|are) to be \w+ed\b/i, instead: 'must be, or the actor and a verb' },
  // Shapes.
  {
    id: 'where',
    pattern: /(^|[.:;] )Where (?![^?]*\?)|\b(?:[Aa]lso|even|only|except|not|and|or|but|else) where\b/,
    instead: '"if" or "when"',
    kinds: PROSE,
  },
  {
    id: 'what is',
    pattern: /(^|[.:;] )What (is|are|was|were|has|have|no|else|comes|stands|runs)\b(?![^.]*\?)/,
    instead: 'subject, verb, object',
    kinds: PROSE,
  },
  { id: 'of', pattern: /(^|[.:;] )Of (?!course|\d)/, instead: 'subject, verb, object' },
  { id: 'title and', pattern: /^\s*(and|or|but)\b/, instead: 'a title that stands alone', kinds: ['title'] },
];

const SENTENCE_END = /(?<=[.!?][)"”']?)\s+(?=[A-Z0-9"“(*`])/;

/** Sentences with more than {@link MAX_WORDS} words. */
export const LONG_SENTENCE = 'long sentence';

/**
 * @param {import('./prose-text.mjs').Block} block
 * @returns {{ line: number, rule: string, found: string, instead: string }[]}
 */
export function faultsOf({ line, kind, text }) {
  const faults = [];
  for (const { id, pattern, instead, kinds } of RULES) {
    if (kinds && !kinds.includes(kind)) continue;
    const match = pattern.exec(text.replace(/\n/g, ' '));
    if (match) faults.push({ line: line + linesBefore(text, match.index), rule: id, found: match[0].trim(), instead });
  }
  if (kind === 'paragraph' || kind === 'cell') faults.push(...longSentences(line, text));
  return faults;
}

function longSentences(line, text) {
  let at = 0;
  return text.split(SENTENCE_END).flatMap(sentence => {
    const start = text.indexOf(sentence, at);
    at = start + sentence.length;
    const words = sentence.split(/\s+/).filter(word => /[\p{L}\p{N}]/u.test(word)).length;
    if (words <= MAX_WORDS) return [];
    const found = `${sentence.replace(/\s+/g, ' ').slice(0, 50)} …`;
    return [
      {
        line: line + linesBefore(text, start),
        rule: LONG_SENTENCE,
        found,
        instead: `${words} words: at most ${MAX_WORDS}`,
      },
    ];
  });
}

const linesBefore = (text, index) => text.slice(0, index).split('\n').length - 1;
