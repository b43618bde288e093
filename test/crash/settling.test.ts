import { crashes } from './suite.ts';
import { SETTLING } from './table.ts';

crashes('a worker that dies with an answer in its hands, or at its end', SETTLING);
