/**
 * The frames of a stack that are logged: the first ones in the application, on the line of the message. Frames of Node and of installed
 * packages, also of this one, are left out. Neighbour: `error-text.ts` bounds the whole stack, which is kept with the failed job.
 */
import { asLine, type FailureText } from './error-text.js';

/** Maximum of `failureStackFrames`. */
export const MAX_FRAMES = 50;
/** Longest frame, and longest name of a function in it, in UTF-16 code units. */
const MAX_FRAME_LENGTH = 160;
const MAX_FUNCTION_LENGTH = 80;
/** Maximum number of parts of a path: a file, and its folders. */
const PATH_PARTS = 3;

/** The first frames of a failure as ` (at f src/file.js:1:2, g …)`; empty without frames, or with a limit of 0. */
export function framesOf({ reason, stack }: FailureText, max: number): string {
  if (max === 0) return '';
  // A line of the message may look like a frame.
  const message = `: ${reason}\n`;
  const begin = stack.indexOf(message);
  const frames = (begin < 0 ? stack : stack.slice(begin + message.length)).split('\n').flatMap(line => {
    const text = line.trimStart();
    return text.startsWith('at ') && text !== line ? [text.slice(3)] : [];
  });
  const own = frames.filter(frame => !isForeign(frame)).slice(0, max);
  return own.length === 0 ? '' : ` (at ${own.map(asFrame).join(', ')})`;
}

function isForeign(frame: string): boolean {
  return /[\\/]node_modules[\\/]/.test(frame) || /(?:^|\()node:|<anonymous>\)?$|^native\)?$/.test(frame);
}

/** `f (file:///srv/app/dist/bank/account.js:1:2)` becomes `f dist/bank/account.js:1:2`. */
function asFrame(frame: string): string {
  const open = frame.endsWith(')') ? frame.lastIndexOf(' (') : -1;
  const place = open < 0 ? frame : frame.slice(open + 2, -1);
  const path = place.split(/[\\/]/).slice(-PATH_PARTS).join('/');
  const name = open < 0 ? '' : `${asLine(frame.slice(0, open), MAX_FUNCTION_LENGTH)} `;
  return asLine(name + path, MAX_FRAME_LENGTH);
}
