import { crashes } from './suite.ts';
import { SENDING } from './table.ts';

crashes('a worker that dies before a row has its answer', SENDING);
