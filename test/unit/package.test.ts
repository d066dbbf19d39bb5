/** The package on its own: its files, the links of its documents, and whether its scripts run on every system. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { satisfies } from 'semver';
import { npm } from '../../scripts/npm.mjs';

interface Manifest {
  readonly scripts: Readonly<Record<string, string>>;
  readonly engines: { readonly node: string };
}

const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as Manifest;
const [packed] = JSON.parse(
  npm('.', ['pack', '--dry-run', '--json', '--ignore-scripts'], { stdio: ['ignore', 'pipe', 'pipe'] }),
) as { files: { path: string }[] }[];
const shipped = new Set(packed?.files.map(({ path }) => path));

const documents = [
  'README.md',
  'CHANGELOG.md',
  'examples/banking/README.md',
  ...readdirSync('docs', { recursive: true, encoding: 'utf8' })
    .filter(file => file.endsWith('.md'))
    .map(file => join('docs', file)),
];

/** The text without code, because brackets in code are not links. */
const prose = (document: string) =>
  readFileSync(document, 'utf8')
    .replace(/^```[\s\S]*?^```/gm, '')
    .replace(/`[^`\n]*`/g, 'code');

/** The anchors of a document's headings, by GitHub's rule. */
function anchorsOf(document: string): string[] {
  const headings = readFileSync(document, 'utf8')
    .replace(/^```[\s\S]*?^```/gm, '')
    .matchAll(/^#+ (.*)$/gm);
  const seen = new Map<string, number>();
  return [...headings].map(([, heading = '']) => {
    const anchor = heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replace(/\s/g, '-');
    const before = seen.get(anchor) ?? 0;
    seen.set(anchor, before + 1);
    return before === 0 ? anchor : `${anchor}-${before}`;
  });
}

/** Links and images whose target is not a file of the package, or a heading in it. */
function deadEndsOf(document: string): string[] {
  const targets = [...prose(document).matchAll(/\]\(([^)\s]+)[^)]*\)/g)].map(([, target = '']) => target);
  return targets.filter(target => {
    if (/^https?:/.test(target)) return false;
    const [path = '', anchor] = target.split('#');
    const file = path === '' ? document : normalize(join(dirname(document), path));
    if (anchor !== undefined) return !shipped.has(file) || !anchorsOf(file).includes(anchor);
    return !shipped.has(file) || !existsSync(file);
  });
}

test.each(documents)('each link and image of %s leads to a file of the package', document => {
  expect(shipped).toContain(document);
  expect(deadEndsOf(document)).toEqual([]);
});

test.each(documents)(
  'each file of the repository that %s names exists, and is in the package if the README names it',
  document => {
    const named = readFileSync(document, 'utf8').matchAll(
      /`((?:src|test|docs|examples|scripts|benchmarks)\/[\w./-]*\w)`/g,
    );
    const paths = [...named].map(([, path = '']) => path);
    expect(paths.filter(path => !existsSync(path))).toEqual([]);
    const isShipped = (path: string) => [...shipped].some(file => file === path || file.startsWith(`${path}/`));
    if (document === 'README.md') expect(paths.filter(path => !isShipped(path))).toEqual([]);
  },
);

test('this test finds the links of the README to its pages and to its chart', () => {
  const links = prose('README.md').match(/\]\((docs|examples)\//g) ?? [];
  expect(links.length).toBeGreaterThanOrEqual(10);
  expect(anchorsOf('docs/operating.md')).toContain('sentinel');
});

test('the package has no development files', () => {
  const strangers = [...shipped].filter(
    file => !/^(dist\/|docs\/|examples\/banking\/|(package\.json|README\.md|CHANGELOG\.md|LICENSE)$)/.test(file),
  );
  expect(strangers).toEqual([]);
});

test('npm scripts run on every system: they start only programs of Node, and set no variables', () => {
  const commands = Object.values(manifest.scripts).flatMap(script => script.split(' && '));
  const programs = new Set(commands.map(command => command.split(' ')[0]));
  expect([...programs].sort()).toEqual(['biome', 'node', 'npm', 'tsc']);
  for (const command of commands) expect(command).not.toMatch(/[|;<>'$%]|(?<!&)&(?!&)/);
});

test('no development script needs a shell', () => {
  const folders = ['scripts', 'test/compat', 'examples/banking/demo', 'benchmarks'];
  const files = folders.flatMap(folder =>
    readdirSync(folder, { encoding: 'utf8' })
      .filter(name => /\.(ts|mjs)$/.test(name))
      .map(name => join(folder, name)),
  );
  expect(files.length).toBeGreaterThan(20);
  const needy = files.filter(file =>
    /['"`](sh|bash|cmd)['"`]|shell: true|\bexec(Sync)?\b[^}]*\} from 'node:child_process'/.test(
      readFileSync(file, 'utf8'),
    ),
  );
  expect(needy).toEqual([]);
});

test('the packages that `npm ci` installs run on the oldest supported Node, so that npm prints no engine warning', () => {
  const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as {
    packages: Record<string, { engines?: { node?: string }; optional?: boolean }>;
  };
  const oldest = [...manifest.engines.node.matchAll(/\d+\.\d+/g)].map(([version]) => `${version}.0`);
  expect(oldest).toEqual(['20.19.0', '22.12.0']);
  const tooNew = Object.entries(packages).filter(
    ([, { engines, optional }]) => !optional && oldest.some(node => !satisfies(node, engines?.node ?? '*')),
  );
  expect(tooNew.map(([name]) => name)).toEqual([]);
});
