package engineio

import "github.com/peal-dev/peal/origin"

// CORS says which web sites may use the server: one policy for every request of every transport.
type CORS = origin.Policy
