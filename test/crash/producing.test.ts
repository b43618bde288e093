import { crashes } from './suite.ts';
import { PRODUCING } from './table.ts';

crashes('a process that dies while it brings a manifest in', PRODUCING);
