import { crashes } from './suite.ts';
import { OPERATING, REPLAYING } from './table.ts';

crashes(
  'a process that dies over the journals of dead workers, or under the hands of an operator',
  REPLAYING,
  { over: OPERATING, usual: ['embedded'] },
);
