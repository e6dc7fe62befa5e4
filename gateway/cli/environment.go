package cli

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// envPrefix begins the environment variable of every flag of serve: --api-key is PEAL_API_KEY.
const envPrefix = "PEAL_"

// environment names the variables of the flags of serve, which are settings of a node. The other commands read what
// their tags name, PEAL_URL and PEAL_API_KEY: a flag of theirs that has the name of a setting but another meaning must
// not be set by it.
func environment() kong.Option {
	return kong.PostBuild(func(k *kong.Kong) error {
		for _, command := range k.Model.Children {
			if command.Name != "serve" {
				continue
			}
			for _, flag := range command.Flags {
				name := envPrefix + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))
				flag.Envs = []string{name}
				flag.Tag.Envs = flag.Envs
			}
		}
		return nil
	})
}

// variables returns the names of all variables that some command reads.
func variables(model *kong.Application) []string {
	var names []string
	for _, command := range model.Children {
		for _, flag := range command.Flags {
			names = append(names, flag.Envs...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// ofService finds what Kubernetes sets in every container for a service called peal or peal-something.
var ofService = regexp.MustCompile(`^PEAL_(\w+_)?(SERVICE_(HOST|PORT)(_\w+)?=|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?=|=(tcp|udp|sctp)://))`)

// warnOfVariables tells of variables that begin like ours and mean nothing: most likely they are misspelt.
func warnOfVariables(w io.Writer, environ, known []string) {
	for _, setting := range environ {
		name, _, _ := strings.Cut(setting, "=")
		if !strings.HasPrefix(name, envPrefix) || slices.Contains(known, name) || ofService.MatchString(setting) {
			continue
		}
		hint := "peal serve --help lists those there are"
		if near := nearest(name, known); near != "" {
			hint = fmt.Sprintf("did you mean %s?", near)
		}
		// Nobody is left to tell when stderr is gone.
		_, _ = fmt.Fprintf(w, "peal: the variable %s means nothing; %s\n", name, hint)
	}
}
