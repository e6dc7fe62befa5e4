// Package jsonscan reads JSON where it lies: it validates, cuts and finds without decoding and, but for what has to be
// replaced, without allocating. Every package that handles payloads uses it, so that there is one answer to what is JSON,
// how deeply it may nest and what is a placeholder.
//
// Functions with an index take the place of the value and return the place behind it, or -1 where there is none. They
// accept any bytes and never panic, except those whose comment asks for valid JSON.
package jsonscan
