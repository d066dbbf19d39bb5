/** The code of our documents: the tests compile and run the same text that a reader copies. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as cqrs from '@nestjs/cqrs';

export function codeBlocks(document: string, language: string): string[] {
  const blocks = readFileSync(document, 'utf8').matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, 'gm'));
  return [...blocks].map(([, code = '']) => code);
}

/** The typed commands of @nestjs/cqrs, which came with its version 11: older ones cannot compile a block that uses them. */
const TYPED_COMMANDS = /import \{[^}]*\b(Command|Query)\b[^}]*\} from '@nestjs\/cqrs'/;
const canCompile = (code: string) => 'Command' in cqrs || !TYPED_COMMANDS.test(code);

/** Writes a document's TypeScript as files, within the package, so that the package's name means the package. */
export function writeBlocks(document: string, folder: string): string[] {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  return codeBlocks(document, 'ts').map((code, index) => {
    const file = join(folder, `block-${index}.ts`);
    if (canCompile(code)) writeFileSync(file, code);
    return file;
  });
}
