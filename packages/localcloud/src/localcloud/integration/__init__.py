"""Azure's services between others: Event Grid, which delivers events, and Logic Apps, whose workflows act on them."""
