import { crashes } from './suite.ts';
import { SUBMISSION } from './table.ts';

crashes('a worker that dies on the way of a row', 'embedded', SUBMISSION);
