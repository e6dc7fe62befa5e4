package cli

import (
	"fmt"
	"math"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/dustin/go-humanize"
)

// sizes reads flags with the tag type:"size": bytes, or a number with a unit (1MiB is 1,048,576 bytes, 1MB a million).
func sizes() kong.Option {
	return kong.NamedMapper("size", kong.MapperFunc(func(ctx *kong.DecodeContext, target reflect.Value) error {
		var text string
		if err := ctx.Scan.PopValueInto("size", &text); err != nil {
			return err
		}
		n, err := parseSize(text)
		if err != nil {
			return err
		}
		target.SetInt(int64(n))
		return nil
	}))
}

func parseSize(text string) (int, error) {
	n, err := humanize.ParseBytes(text)
	if err != nil || n > math.MaxInt {
		return 0, fmt.Errorf("%q is no size; write for instance 500kB, 1MiB or 1048576", text)
	}
	return int(n), nil
}

// formatSize writes a number of bytes as parseSize reads it.
func formatSize(n int) string {
	text := strings.ReplaceAll(strings.ReplaceAll(humanize.IBytes(uint64(n)), ".0 ", ""), " ", "")
	if back, err := parseSize(text); err != nil || back != n {
		return fmt.Sprint(n)
	}
	return text
}
