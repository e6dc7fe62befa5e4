// Package chart draws distributions of times, and how quantities grow, as SVG.
package chart
