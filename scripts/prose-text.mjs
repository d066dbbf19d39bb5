// The prose of a file: paragraphs of Markdown, comments, messages and test titles of TypeScript and JavaScript, comments of Lua.
// Owns what counts as prose. Neighbour: `prose-rules.mjs` judges it.

/**
 * A piece of prose, without the code in it.
 * @typedef {{ line: number, kind: 'paragraph' | 'heading' | 'cell' | 'comment' | 'message' | 'title', text: string }} Block
 */

/** Stands for code: a word that no rule knows. */
const CODE = 'CODE';

/**
 * @param {string} file path, by whose ending the language is known.
 * @param {string} source
 * @returns {Block[]}
 */
export function proseOf(file, source) {
  if (file.endsWith('.md')) return markdown(source);
  if (file.endsWith('.lua')) return luaComments(source, 1);
  return script(file, source);
}

function markdown(source) {
  const blocks = [];
  let paragraph;
  let isCode = false;
  for (const [index, line] of source.split('\n').entries()) {
    if (/^\s*```/.test(line)) isCode = !isCode;
    const kind = kindOfLine(line, isCode);
    if (kind !== 'paragraph' || /^\s*([-*+]|\d+\.)\s/.test(line)) paragraph = undefined;
    if (kind === undefined) continue;
    if (kind === 'cell') {
      for (const cell of line.split(/(?<!\\)\|/)) blocks.push({ line: index + 1, kind, text: withoutMarkup(cell) });
    } else if (paragraph) paragraph.text += `\n${withoutMarkup(line)}`;
    else {
      const block = { line: index + 1, kind, text: withoutMarkup(line.replace(/^\s*([-*+>#]+|\d+\.)\s/, '')) };
      blocks.push(block);
      if (kind === 'paragraph') paragraph = block;
    }
  }
  return blocks.filter(({ text }) => /[a-z]/i.test(text));
}

function kindOfLine(line, isCode) {
  if (isCode || /^\s*(```.*)?$/.test(line) || /^\|[ :|-]*$/.test(line)) return undefined;
  return line.startsWith('#') ? 'heading' : line.startsWith('|') ? 'cell' : 'paragraph';
}

/** Links become their texts, code becomes one word. */
function withoutMarkup(text) {
  return text
    .replace(/`[^`]*`/g, CODE)
    .replace(/!?\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replace(/<?https?:\/\/[^\s)>]+>?/g, CODE)
    .replace(/\*\*|__|(?<!\w)[*_](?=\w)|(?<=\w)[*_](?!\w)/g, '')
    .trim();
}

/** A comment as Markdown is written: its decoration, links, tags and examples taken off. Each of its paragraphs is a block. */
function commentBlocks(text, line) {
  const body = text
    .replace(/^[ \t]*\*( |$)/gm, '')
    .replace(/```[\s\S]*?(```|$)/g, match => match.replace(/[^\n]/g, ''));
  const blocks = [];
  let paragraph;
  for (const [index, raw] of body.split('\n').entries()) {
    const isStart = /^\s*(@\w+|[-*+]\s|\d+\.\s)/.test(raw);
    const clean = withoutMarkup(
      raw
        .replace(/\{@link ([^}]*)\}/g, CODE)
        .replace(/@default .*/, '')
        .replace(/^\s*@(throws|see)\s+[\w, ]*/, '')
        .replace(/^\s*@(param|returns?|example|internal|typedef)(\s+\w+(?=\s))?/, '')
        .replace(/^\s*[-*+]\s/, '')
        .replace(/biome-ignore .*/, ''),
    );
    if (clean === '' || isStart) paragraph = undefined;
    if (clean === '') continue;
    if (paragraph) paragraph.text += `\n${clean}`;
    else {
      paragraph = { line: line + index, kind: 'comment', text: clean };
      blocks.push(paragraph);
    }
  }
  return blocks.filter(({ text: prose }) => /[a-z]/i.test(prose));
}

/** Comment lines that follow one another are one comment. */
function luaComments(source, firstLine) {
  return lineComments(source, /(?<!["'\w])--(?!\[\[)[- ]*(.*)$/, firstLine);
}

function lineComments(source, pattern, firstLine) {
  const blocks = [];
  let last;
  for (const [index, line] of source.split('\n').entries()) {
    const text = line.match(pattern)?.[1];
    const isAlone = /^\s*(--|\/\/)/.test(line);
    if (text === undefined) last = undefined;
    else if (last && isAlone) last.text += `\n${text}`;
    else {
      const block = { line: firstLine + index, text };
      blocks.push(block);
      last = isAlone ? block : undefined;
    }
  }
  return blocks.flatMap(({ line, text }) => commentBlocks(text, line));
}

const TITLE = /\b(?:test|it|describe)(?:\.\w+)*(?:\([^()]*\)|\(\s*(?:\[[\s\S]*?\]|\w[\w.()[\] ]*)\s*,?\s*\))?\(\s*$/;

function script(file, source) {
  const { comments, strings, rest } = scan(source);
  const isTest = /^test\//.test(file);
  const lines = source.split('\n');
  const blocks = comments.flatMap(({ line, text, isLine }) => (isLine ? [] : commentBlocks(text, line)));
  blocks.push(
    ...lineComments(
      maskedExcept(
        lines,
        comments.filter(({ isLine }) => isLine),
      ),
      /\/\/ ?(.*)$/,
      1,
    ),
  );
  for (const { line, text, at, isTemplate } of strings) {
    if (isTemplate && file.endsWith('.lua.ts')) blocks.push(...luaComments(text, line));
    else if (isTest) {
      if (TITLE.test(rest.slice(Math.max(0, at - 400), at)))
        blocks.push({ line, kind: 'title', text: withoutMarkup(text) });
    } else if (/\w \w/.test(text)) blocks.push({ line, kind: 'message', text: withoutMarkup(text) });
  }
  return blocks.sort((a, b) => a.line - b.line);
}

function maskedExcept(lines, comments) {
  const byLine = new Map(comments.map(({ line, text, column }) => [line, `${column === 0 ? '' : 'x '}//${text}`]));
  return lines.map((_, index) => byLine.get(index + 1) ?? '').join('\n');
}

/** Before a slash that begins a regular expression and not a division. */
const BEFORE_REGEX = /(^|[=(,:[!&|?{};>+]|\b(return|typeof|case|in|of))\s*$/;

/** Comments and strings of a script. `rest` is the source with both blanked out, of the same length. */
function scan(source) {
  const comments = [];
  const strings = [];
  const rest = [...source];
  const depths = [];
  let depth = 0;
  let line = 1;
  let lineStart = 0;
  const blank = (from, to) => {
    for (let i = from; i < to; i++) if (rest[i] !== '\n') rest[i] = ' ';
  };
  const skip = (from, to) => {
    for (let i = from; i < to; i++) if (source[i] === '\n') [line, lineStart] = [line + 1, i + 1];
    return to;
  };
  const template = from => {
    let to = from;
    while (to < source.length && source[to] !== '`' && !source.startsWith('${', to)) to += source[to] === '\\' ? 2 : 1;
    strings.push({ line, at: from - 1, text: source.slice(from, to), isTemplate: true });
    blank(from, to);
    const end = skip(from, to);
    if (source[end] === '`') return end + 1;
    depths.push(depth);
    depth = 0;
    return end + 2;
  };
  for (let i = 0; i < source.length; ) {
    const char = source[i];
    const two = source.slice(i, i + 2);
    if (two === '//' || two === '/*') {
      const end = two === '//' ? endOf(source, '\n', i, 0) : endOf(source, '*/', i, 2);
      const column = source.slice(lineStart, i).trim() === '' ? 0 : i - lineStart;
      comments.push({ line, column, isLine: two === '//', text: source.slice(i + 2, end).replace(/\*\/$/, '') });
      blank(i, end);
      i = skip(i, end);
    } else if (char === "'" || char === '"') {
      let to = i + 1;
      while (to < source.length && source[to] !== char) to += source[to] === '\\' ? 2 : 1;
      strings.push({ line, at: i, text: source.slice(i + 1, to).replace(/\\(.)/g, '$1'), isTemplate: false });
      blank(i, to + 1);
      i = skip(i, to + 1);
    } else if (char === '`') {
      i = template(i + 1);
    } else if (char === '}' && depth === 0 && depths.length > 0) {
      depth = depths.pop() ?? 0;
      i = template(i + 1);
    } else if (char === '/' && BEFORE_REGEX.test(rest.slice(Math.max(0, i - 20), i).join(''))) {
      const end = i + (source.slice(i).match(/^\/(?:\\.|\[(?:\\.|[^\]\n])*\]|[^/\n\\[])+\/\w*/)?.[0].length ?? 1);
      blank(i, end);
      i = end;
    } else {
      if (char === '{') depth += 1;
      if (char === '}') depth -= 1;
      i = skip(i, i + 1);
    }
  }
  return { comments, strings, rest: rest.join('') };
}

function endOf(source, mark, from, length) {
  const at = source.indexOf(mark, from + 2);
  return at === -1 ? source.length : at + length;
}
