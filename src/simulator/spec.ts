import { usageError } from '../core/errors.ts';
import { RESULT_FAULT_NAMES, RESULT_FAULTS, type ResultFaultName } from './delivery.ts';
import { type ChosenFault, FAULT_NAMES, FAULTS, type FaultName } from './fault.ts';

/** A fault that strikes a share of all creates. */
export interface RatedFault extends ChosenFault {
  /** 0-1. */
  rate: number;
}

/**
 * Reads `name`, `name:created` or `name:not-created`; a fault with both variants is `created` by default, which costs
 * money. Throws a usage error that lists the known names.
 */
export function parseFaultName(spec: string): ChosenFault {
  const [name = '', variant, ...rest] = spec.trim().split(':');
  if (!isFaultName(name)) {
    const known = `known: ${FAULT_NAMES.join(', ')}`;
    throw usageError('unknown-fault', `fault ${quote(name)} is not known`, known);
  }
  const { creates } = FAULTS[name];
  if (rest.length > 0 || (variant !== undefined && variant !== 'created' && variant !== 'not-created')) {
    throw usageError('unknown-variant', `fault ${quote(spec)}: after ${name} only :created or :not-created`);
  }
  const created = variant === undefined ? creates !== 'never' : variant === 'created';
  if ((created && creates === 'never') || (!created && creates === 'always')) {
    const message = `fault ${name} ${creates} creates a task: ${quote(spec)} is not possible`;
    throw usageError('unknown-variant', message);
  }
  return { name, created };
}

/** Reads `name[:created|:not-created][=rate]`, for example `timeout:created=0.01`. Without a rate: every create. */
export function parseFault(spec: string): RatedFault {
  const { name, rate } = parseRated('fault', spec);
  return { ...parseFaultName(name), rate };
}

/** `what`: for the error. */
export function parseRated(what: 'fault' | 'mistake', spec: string): { name: string; rate: number } {
  const [name = '', rate = '1', ...rest] = spec.split('=');
  const share = Number(rate);
  if (rest.length > 0 || rate.trim() === '' || !(share >= 0 && share <= 1)) {
    throw usageError(`${what}-rate`, `${what} ${quote(spec)}: the rate is not a number between 0 and 1`);
  }
  return { name, rate: share };
}

/** A fault of a GET of a result. Throws a usage error that lists what is known. */
export function parseResultFaultName(name: string): ResultFaultName {
  const trimmed = name.trim();
  if (!Object.hasOwn(RESULT_FAULTS, trimmed)) {
    const known = `known: ${RESULT_FAULT_NAMES.join(', ')}`;
    throw usageError('unknown-fault', `fault ${quote(trimmed)} is not one of a result`, known);
  }
  return trimmed as ResultFaultName;
}

export function parseResultFault(spec: string): { name: ResultFaultName; rate: number } {
  const { name, rate } = parseRated('fault', spec);
  return { name: parseResultFaultName(name), rate };
}

function isFaultName(name: string): name is FaultName {
  return Object.hasOwn(FAULTS, name);
}

export const quote = (text: string): string => JSON.stringify(text.slice(0, 80));
