package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/peal-dev/peal/gateway"
)

// Config returns what the flags of `peal serve`, the environment and the file make of the configuration.
func Config(args ...string) (gateway.Config, error) {
	var root commands
	_, err := parse(append([]string{"serve"}, args...), &root, io.Discard, io.Discard)
	return root.Serve.Config, err
}

// ParseFile returns the values of a configuration file with the keys a and b as "key=value" lines.
func ParseFile(text string) (string, error) {
	values, err := parseFile("f.yaml", strings.NewReader(text), []string{"a", "b"})
	return strings.TrimPrefix(fmt.Sprint(map[string]string(values)), "map"), err
}
