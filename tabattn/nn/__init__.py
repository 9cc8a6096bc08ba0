"""Pure tensor code: integers and tensors in, tensors out; no names, no pandas, no Lightning."""
