package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/peal-dev/peal/lab/page"
)

// section is a part of the page that is measured on whole clusters, and that can be made anew without the rest.
type section struct {
	name    string // of the measurement on the command line
	heading string
	servers []string // whose programs are measured
	measure func(ctx context.Context, c *comparison, p *part) error
	write   func(c *comparison, b *strings.Builder)
}

// part is what is said of a section beside its figures.
type part struct {
	problems []string
	shown    []string // commands
	load     string
}

func (p *part) problem(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	fmt.Fprintln(os.Stderr, text)
	p.problems = append(p.problems, text)
}

// sections are all of them, in the order of the page.
var sections = []section{
	{"nodes", "## From node to node", []string{peal, product, nodejs, centrifugo}, measureNodes, writeNodes},
	{"hop", "## A session on another node", []string{product}, measureHops, writeHop},
}

// millionHeading is that of the section that lab/million writes.
const millionHeading = "## A million clients"

// page returns the page after a run: what was not measured stays as it was, section by section.
func (c *comparison) page(ctx context.Context, old string) string {
	text := old
	if slices.ContainsFunc(measurements(c.clients), func(m measurement) bool { return chosen(c.measure, m.name) }) {
		text = c.markdown(ctx)
		headings := []string{}
		for _, s := range sections {
			headings = append(headings, s.heading)
		}
		for _, heading := range append(headings, millionHeading) {
			if kept := page.Section(old, heading); kept != "" {
				text = page.Replace(text, kept)
			}
		}
	}
	for _, s := range sections {
		if p, ok := c.parts[s.name]; ok {
			text = page.Replace(text, c.section(ctx, &s, &p))
		}
	}
	return text
}

// section writes one section.
func (c *comparison) section(ctx context.Context, s *section, p *part) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", s.heading)
	s.write(c, &b)
	fmt.Fprintf(&b, "\n%s; median of %d (lowest to highest in brackets), taking turns: `go run ./lab/compare --measure %s`\n\n",
		c.began.UTC().Format(time.DateOnly), c.repeat, s.name)
	redis, _, _ := strings.Cut(output(ctx, c.redisServer, "--version"), " sha=")
	for _, line := range append(c.machine(ctx, []string{p.load}), redis) {
		fmt.Fprintf(&b, "- %s\n", line)
	}
	fmt.Fprintf(&b, "\n```\n%s\n```\n", strings.Join(p.shown, "\n"))
	if len(p.problems) == 0 {
		b.WriteString("\nEvery message arrived, once and in order, where it belongs and nowhere else.\n")
	}
	for i, problem := range p.problems {
		if i == 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "- PROBLEM: %s\n", problem)
	}
	return b.String()
}

// available returns the contestants whose programs were built and chosen.
func (c *comparison) available() (list []contestant) {
	for _, contestant := range contestants(c.dir, c.settings) {
		for _, s := range c.servers {
			if s.name != contestant.server {
				continue
			}
			if contestant.daemon != nil {
				contestant.daemon.path = s.daemon.path
			}
			list = append(list, contestant)
		}
	}
	return list
}

// shownAs returns the command of a contestant without the machine's paths.
func (c *comparison) shownAs(n *contestant) string {
	text := strings.ReplaceAll(n.command, c.dir+string(filepath.Separator), "")
	if n.daemon != nil {
		for _, s := range c.servers {
			if s.name == n.server {
				text = s.shown
			}
		}
	}
	return fmt.Sprintf("%-25s %s", n.name, text)
}

// repeatedly measures contestants in turns. One that fails is left alone, as the others are worth measuring all the same.
func (c *comparison) repeatedly(ctx context.Context, name string, list []contestant, p *part, once func(*contestant) error) error {
	failed := map[string]bool{}
	for i := range list {
		p.shown = append(p.shown, c.shownAs(&list[i]))
	}
	for round := range c.repeat {
		for i := range list {
			n := &list[i]
			if failed[n.name] {
				continue
			}
			fmt.Fprintf(os.Stderr, "%s, %s, %d of %d\n", name, n.name, round+1, c.repeat)
			if err := once(n); ctx.Err() != nil {
				return context.Cause(ctx)
			} else if err != nil {
				failed[n.name] = true
				p.problem("%s: %v", n.name, err)
			}
		}
	}
	return nil
}

// add is a function that adds figures of a column.
func (c *comparison) add(measurement, column string) func(name string, value float64) {
	return func(name string, value float64) {
		k := key{measurement, column, name}
		c.values[k] = append(c.values[k], value)
	}
}

func measureNodes(ctx context.Context, c *comparison, p *part) error {
	return c.repeatedly(ctx, "nodes", c.available(), p, func(n *contestant) error {
		return c.trial().measureCluster(ctx, n, c.redisServer, c.add("nodes", n.name), func(text string) { p.problem("%s: %s", n.name, text) })
	})
}

func measureHops(ctx context.Context, c *comparison, p *part) error {
	list := slices.DeleteFunc(c.available(), func(n contestant) bool { return n.name != "Peal" })
	return c.repeatedly(ctx, "hop", list, p, func(n *contestant) error {
		return c.trial().measureHop(ctx, n, c.redisServer, func(way, name string, value float64) { c.add("hop", way)(name, value) },
			func(text string) { p.problem("%s", text) })
	})
}

// trial returns how clusters are measured.
func (c *comparison) trial() trial {
	if c.quick {
		return quickTrial
	}
	return fullTrial
}
