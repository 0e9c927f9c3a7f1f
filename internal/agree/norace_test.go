//go:build !race

package agree

const thorough = true
