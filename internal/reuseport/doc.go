// Package reuseport lets several processes listen on one port, among whom the system shares the connections out
// (SO_REUSEPORT). Only Linux does.
package reuseport

import "errors"

// ErrUnsupported says that the system does not share connections out.
var ErrUnsupported = errors.New("only Linux shares the connections of one port out among processes")
