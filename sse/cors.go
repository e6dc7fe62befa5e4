package sse

import "github.com/peal-dev/peal/origin"

// CORS says which pages of other origins may open a stream.
type CORS = origin.Policy
