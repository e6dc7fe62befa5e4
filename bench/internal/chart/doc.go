// Package chart draws distributions of times as SVG.
package chart
