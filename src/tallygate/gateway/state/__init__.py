"""What workers and machines share: windows of rate limits, holds, purses."""
