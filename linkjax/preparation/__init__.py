"""What `linkjax.prepare` is made of: pieces of work, who does them, and the folder that they fill."""
