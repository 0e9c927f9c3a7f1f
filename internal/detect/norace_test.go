//go:build !race

package detect_test

const thorough = true
