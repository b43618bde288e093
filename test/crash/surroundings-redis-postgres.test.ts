import { crashes } from './suite.ts';
import { OPERATORS, SURROUNDINGS } from './table.ts';

crashes(
  'a process that dies before a row is sent, or after it is settled',
  'redis+postgres',
  SURROUNDINGS,
  OPERATORS,
);
