import type { Command } from 'commander';
import { EXIT, usageError, type ExitCode } from '../../core/errors.ts';
import { plural } from '../../core/units.ts';
import { builtInNames, builtInText } from '../../provider/profile/built-in.ts';
import { builtInProfile, DEFAULT_PROFILE, loadProfile, profileText } from '../../provider/profile/load.ts';
import { modelsOf } from '../../provider/profile/models.ts';
import { formatFault, readProfile, type ProfileFault } from '../../provider/profile/read.ts';
import type { Profile } from '../../provider/profile/schema.ts';
import { globalFlags, isOn, providerFlags, type GlobalFlags } from '../flags/flags.ts';
import type { Io } from '../output/io.ts';
import { testProfile } from './profile-test.ts';
import { formatProfile } from './profile-text.ts';
import { tryAnswer } from './profile-try.ts';

type Exit = (code: ExitCode) => void;

export function profileCommand(program: Command, io: Io, exit: Exit): void {
  const profile = program
    .command('profile')
    .description('what one kind of provider looks like, as data: check, show and try a profile')
    .addHelpText(
      'after',
      `
Examples:
  $ vidbatch profile list
  $ vidbatch profile show new-api --yaml > mine.yaml      begin with a built-in one
  $ vidbatch profile check mine.yaml
  $ vidbatch profile try mine.yaml answer.json            what would this answer mean?
  $ vidbatch profile test mine.yaml                       ask the provider, at no cost

docs/profiles.md explains each field, and walks from nothing to a first paid row.`,
    );
  const list = profile
    .command('list')
    .description('the built-in profiles')
    .action((flags: GlobalFlags) => exit(listProfiles(flags, io)));
  globalFlags(list);
  const check = profile
    .command('check <file>')
    .description('every mistake in a profile, with line and field; exit code 2 if there is one')
    .action((file: string, flags: GlobalFlags) => exit(checkProfile(file, flags, io)));
  globalFlags(check);
  const show = profile
    .command('show <name-or-file>')
    .description('all that a profile holds, its sources, and what they leave open')
    .option('--yaml', 'the text of the profile, to begin a profile of your own')
    .action((name: string, flags: ShowFlags) => exit(showProfile(name, flags, io)));
  globalFlags(show);
  const test = profile
    .command('test [name-or-file]')
    .description('ask the provider for a task that is not there, and for its models: creates nothing')
    .action(async (name: string | undefined, flags: GlobalFlags) => exit(await testProfile(name, flags, io)));
  providerFlags(globalFlags(test));
  const attempt = profile
    .command('try <name-or-file> <answer>')
    .description('what an answer in a JSON file would mean, to a create and about a task; asks no provider')
    .action(async (name: string, answer: string, flags: GlobalFlags) =>
      exit(await tryAnswer(name, answer, flags, io)),
    );
  globalFlags(attempt);
}

function listProfiles(flags: GlobalFlags, io: Io): ExitCode {
  for (const name of builtInNames()) {
    const { about = null, documents = [], unverified = [] } = builtInProfile(name)?.profile ?? {};
    const isDefault = name === DEFAULT_PROFILE;
    if (isOn(flags.json)) io.out(JSON.stringify({ profile: name, isDefault, about, documents, unverified }));
    else io.out(`${name}${isDefault ? ' (default)' : ''}: ${about ?? ''}`);
  }
  return EXIT.ok;
}

/** @throws VidbatchError exit 2 after the last fault. */
function checkProfile(file: string, flags: GlobalFlags, io: Io): ExitCode {
  const text = builtInText(file) ?? profileText(file);
  const read = readProfile(text);
  const faults = 'faults' in read ? read.faults : [];
  if (isOn(flags.json)) io.out(JSON.stringify({ file, valid: faults.length === 0, faults }));
  else for (const fault of faults) io.err(`${file}${formatFault(fault)}`);
  if (!('profile' in read)) throw faulty(file, faults);
  // A file must not have the name of a built-in profile.
  const { profile } = loadProfile(file);
  if (!isOn(flags.json)) io.out(`${file}: ${formatSize(profile)}`);
  return EXIT.ok;
}

function faulty(file: string, faults: readonly ProfileFault[]): Error {
  return usageError(
    'PROFILE_INVALID',
    `${file} has ${plural(faults.length, 'fault')}`,
    'docs/profiles.md explains each field.',
  );
}

/** `profile mine · 12 models · 3 rules · 2 unverified` */
function formatSize(profile: Profile): string {
  const { name, rules, unverified } = profile;
  return [
    `profile ${name}`,
    plural(modelsOf(profile).names.length, 'model'),
    plural(rules.length, 'rule'),
    ...(unverified.length === 0 ? [] : [`${unverified.length} unverified`]),
  ].join(' · ');
}

type ShowFlags = GlobalFlags & { yaml?: boolean };

function showProfile(name: string, flags: ShowFlags, io: Io): ExitCode {
  const { text, builtIn } = loadProfile(name);
  const read = readProfile(text);
  if (isOn(flags.yaml)) io.out(text.trimEnd());
  else if ('written' in read) {
    const { written } = read;
    const isDefault = name === DEFAULT_PROFILE;
    if (isOn(flags.json)) io.out(JSON.stringify({ builtIn, isDefault, ...written }));
    else for (const line of formatProfile(written, { builtIn, isDefault })) io.out(line);
  }
  return EXIT.ok;
}
