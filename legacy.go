package coord

// legacySlot takes in what stands in the slot of the legacy format, nil where it is empty.
func (a *Coordinator) legacySlot(value []byte) {}
